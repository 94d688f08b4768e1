//! The tool `run_command`: real processes, confined, bounded, and ended with all that they started.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use openai_agents::tools::workspace::{CommandOptions, Confinement};
use serde_json::{Value, json};

use super::{GuardedRoot, SECRET, call};

async fn run_with(
    place: &GuardedRoot,
    options: CommandOptions,
    command: &[&str],
) -> Result<String, String> {
    let tool = place.workspace.run_command(options);
    call(&tool, &json!({"command": command, "folder": null})).await
}

async fn run(place: &GuardedRoot, command: &[&str]) -> Result<String, String> {
    run_with(place, CommandOptions::default(), command).await
}

async fn shell(place: &GuardedRoot, script: &str) -> String {
    run(place, &["sh", "-c", script]).await.unwrap()
}

/// How many processes of this machine have a text among their arguments.
fn n_processes_with(text: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(text))
        .count()
}

#[tokio::test]
async fn run_command_gives_output_in_order_and_the_exit_code() {
    let place = GuardedRoot::new().with("sub/a.txt", "text\n");
    assert_eq!(
        run(&place, &["cat", "sub/a.txt"]).await,
        Ok("text\n[exit code 0]".to_owned())
    );
    assert_eq!(
        shell(&place, "echo one; echo two >&2; echo three; exit 3").await,
        "one\ntwo\nthree\n[exit code 3]"
    );
    assert_eq!(shell(&place, "kill -9 $$").await, "[ended by signal 9]");
    assert_eq!(
        shell(&place, "cat").await,
        "[exit code 0]",
        "its input is empty"
    );
    let tool = place.workspace.run_command(CommandOptions::default());
    let in_folder = json!({"command": ["cat", "a.txt"], "folder": "sub"});
    assert_eq!(
        call(&tool, &in_folder).await,
        Ok("text\n[exit code 0]".to_owned())
    );
    let outside = json!({"command": ["cat", "secret"], "folder": "../outside"});
    assert_eq!(
        call(&tool, &outside).await,
        Err("`../outside` leads out of the workspace".to_owned())
    );
}

#[tokio::test]
async fn run_command_has_no_shell() {
    let place = GuardedRoot::new();
    assert_eq!(
        run(&place, &["echo", "$HOME; *", "| cat"]).await,
        Ok("$HOME; * | cat\n[exit code 0]".to_owned())
    );
    assert_eq!(
        run(&place, &["echo hello"]).await,
        Err("`echo hello` cannot be started: No such file or directory (os error 2)".to_owned())
    );
    let none = "`command` names no program; it is a list of the program and its arguments";
    assert_eq!(run(&place, &[]).await, Err(none.to_owned()));
    assert_eq!(run(&place, &[""]).await, Err(none.to_owned()));
    assert_eq!(
        run(&place, &["a\0b"]).await,
        Err("`a\0b` cannot be started: nul byte found in provided data".to_owned())
    );
}

#[tokio::test]
async fn run_command_reads_and_writes_below_the_root_only() {
    let place = GuardedRoot::new().with("a.txt", "a");
    let secret = place.outside("secret");
    let secret = secret.to_str().unwrap();
    for script in [
        format!("cat {secret}"),
        "cat ../outside/secret".to_owned(),
        format!("cp {secret} copy"),
        format!("ln {secret} hard"),
        format!("ln -s {secret} link; cat link"),
        format!("cat /proc/self/root{secret}"),
        format!("echo x > {secret}"),
        format!("truncate -s 0 {secret}"),
        format!("mv {secret} moved"),
        format!("mv a.txt {secret}"),
        format!("rm {secret}"),
        format!("touch {}", place.outside("new").display()),
        format!("ls {}", place.outside("").display()),
        format!("cat /proc/{}/environ", std::process::id()),
        "cat /etc/shadow".to_owned(),
        "mknod disk b 8 0".to_owned(),
        "echo x > /proc/self/oom_score_adj".to_owned(),
    ] {
        let output = shell(&place, &script).await;
        assert!(!output.contains(SECRET), "{script}: {output}");
        assert!(!output.ends_with("[exit code 0]"), "{script}: {output}");
        place.assert_untouched();
    }
    assert_eq!(
        shell(
            &place,
            "echo b > b.txt && mv b.txt c.txt && ln c.txt d.txt && cat d.txt && rm c.txt d.txt"
        )
        .await,
        "b\n[exit code 0]"
    );
}

#[tokio::test]
async fn run_command_does_not_see_the_variables_of_this_process() {
    let place = GuardedRoot::new();
    let script = format!("cat /proc/{}/environ", std::process::id());
    let output = shell(&place, &script).await;
    assert!(
        output.ends_with("Permission denied\n[exit code 1]"),
        "{output}"
    );
    // One that looks like a secret is not told from the others: none is seen.
    let output = shell(&place, "env").await;
    let mut names: Vec<&str> = output
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.retain(|name| {
        ![
            "PATH", "LANG", "LC_ALL", "TZ", "PWD", "OLDPWD", "SHLVL", "_",
        ]
        .contains(name)
    });
    names.sort_unstable();
    assert_eq!(names, ["HOME", "TMPDIR"]);
    let kept = run_with(
        &place,
        CommandOptions::default().inherit("CARGO_MANIFEST_DIR"),
        &["printenv", "CARGO_MANIFEST_DIR"],
    )
    .await;
    assert_eq!(
        kept,
        Ok(format!("{}\n[exit code 0]", env!("CARGO_MANIFEST_DIR")))
    );
}

#[tokio::test]
async fn run_command_has_a_home_that_is_gone_afterwards() {
    let place = GuardedRoot::new();
    let output = shell(
        &place,
        r#"echo x > "$HOME/file" && mktemp > /dev/null && echo "$HOME""#,
    )
    .await;
    let home = output.strip_suffix("\n[exit code 0]").unwrap();
    assert!(home.starts_with('/'));
    assert!(!std::path::Path::new(home).exists());
}

#[tokio::test]
async fn run_command_has_no_network_unless_it_is_given() {
    let place = GuardedRoot::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected");
    let connect = ["bash", "-c", &script];
    let output = run(&place, &connect).await.unwrap();
    assert!(output.contains("Operation not permitted"), "{output}");
    assert!(!output.contains("connected"), "{output}");
    let with_network = CommandOptions::default().network();
    assert_eq!(
        run_with(&place, with_network.clone(), &connect).await,
        Ok("connected\n[exit code 0]".to_owned())
    );
    // A socket of the file system would reach other programs of the user, with the network and without.
    let local = "use Socket; socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die $!";
    for options in [CommandOptions::default(), with_network] {
        let output = run_with(&place, options, &["perl", "-e", local])
            .await
            .unwrap();
        assert!(
            output.starts_with("Operation not permitted at -e line 1."),
            "{output}"
        );
    }
}

#[tokio::test]
async fn run_command_cannot_signal_processes_outside() {
    let place = GuardedRoot::new();
    let output = shell(&place, &format!("kill -0 {}", std::process::id())).await;
    assert!(output.ends_with("[exit code 1]"), "{output}");
}

#[tokio::test]
async fn run_command_reads_folders_that_the_options_name() {
    let place = GuardedRoot::new();
    let options = CommandOptions::default().readable(place.outside(""));
    let secret = place.outside("secret");
    let read = run_with(&place, options.clone(), &["cat", secret.to_str().unwrap()]).await;
    assert_eq!(read, Ok(format!("{SECRET}\n[exit code 0]")));
    let write = format!("echo x > {}", secret.display());
    let refused = run_with(&place, options, &["sh", "-c", &write])
        .await
        .unwrap();
    assert!(!refused.ends_with("[exit code 0]"), "{refused}");
    place.assert_untouched();
}

#[tokio::test]
async fn run_command_without_confinement_does_what_this_process_can() {
    let place = GuardedRoot::new();
    let options = CommandOptions::default().confinement(Confinement::Off);
    let secret = place.outside("secret");
    let read = run_with(&place, options, &["cat", secret.to_str().unwrap()]).await;
    assert_eq!(read, Ok(format!("{SECRET}\n[exit code 0]")));
}

#[tokio::test]
async fn run_command_with_endless_output_keeps_both_ends() {
    let place = GuardedRoot::new();
    let options = CommandOptions::default().max_output_bytes(20);
    let script = "echo first; head -c 1073741824 /dev/zero; echo; echo last";
    let output = run_with(&place, options, &["sh", "-c", script])
        .await
        .unwrap();
    let n_left_out = 6 + 1_073_741_824 + 6 - 20;
    let expected =
        format!("first\n\0\0\0\0\n[{n_left_out} bytes left out]\n\0\0\0\0\nlast\n[exit code 0]");
    assert_eq!(output, expected);
}

#[tokio::test]
async fn run_command_beyond_its_time_is_ended_with_all_that_it_started() {
    let place = GuardedRoot::new();
    let options = CommandOptions::default().timeout(Duration::from_secs(1));
    let script = "sleep 86411 & (sleep 86411 & sleep 86411) & trap '' TERM INT HUP; sleep 86411";
    let output = run_with(&place, options, &["sh", "-c", script]).await;
    assert_eq!(
        output,
        Ok("[ended, because it took longer than 1 s]".to_owned())
    );
    assert_eq!(n_processes_with("86411"), 0);
}

#[tokio::test]
async fn run_command_with_files_confinement_reads_below_the_root_only() {
    let place = GuardedRoot::new();
    let options = CommandOptions::default().confinement(Confinement::Files);
    let secret = place.outside("secret");
    let output = run_with(&place, options, &["cat", secret.to_str().unwrap()]).await;
    assert!(
        output
            .as_ref()
            .unwrap()
            .ends_with("Permission denied\n[exit code 1]"),
        "{output:?}"
    );
}

/// A kernel without Landlock, as a filter makes it: the calling thread and all that it starts get the answer of an old kernel.
fn without_landlock() {
    use seccompiler::{SeccompAction, SeccompFilter, apply_filter};

    let refused = [(libc::SYS_landlock_create_ruleset, Vec::new())];
    let old = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(refused.into(), SeccompAction::Allow, old, arch).unwrap();
    let program: seccompiler::BpfProgram = filter.try_into().unwrap();
    apply_filter(&program).unwrap();
}

#[test]
fn run_command_on_a_kernel_without_landlock_runs_nothing() {
    let on_an_old_kernel = || {
        without_landlock();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let place = GuardedRoot::new();
        for confinement in [Confinement::Full, Confinement::Files] {
            let options = CommandOptions::default().confinement(confinement);
            let refused = runtime.block_on(run_with(&place, options, &["touch", "made"]));
            let reason = "this machine cannot keep commands within the workspace, so none is run";
            assert!(refused.unwrap_err().starts_with(reason));
            assert!(!place.inside("made").exists());
        }
        let options = CommandOptions::default().confinement(Confinement::Off);
        let made = runtime.block_on(run_with(&place, options, &["touch", "made"]));
        assert_eq!(made, Ok("[exit code 0]".to_owned()));
        assert!(place.inside("made").exists());
    };
    std::thread::spawn(on_an_old_kernel).join().unwrap();
}

#[tokio::test]
async fn run_command_with_a_folder_to_read_that_is_missing_runs_nothing() {
    let place = GuardedRoot::new();
    let options = CommandOptions::default().readable("/nowhere/at/all");
    let refused = run_with(&place, options, &["touch", "made"]).await;
    let reason = "/nowhere/at/all, which commands may read, cannot be opened";
    assert!(refused.unwrap_err().starts_with(reason));
    assert!(!place.inside("made").exists());
}

#[tokio::test]
async fn run_command_has_none_of_the_files_that_this_process_has_open() {
    let place = GuardedRoot::new();
    let file = fs::File::open(place.outside("secret")).unwrap();
    // Without the mark that closes it at exec, as code of other languages opens files.
    let open = rustix::io::fcntl_dupfd_cloexec(&file, 200).unwrap();
    rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).unwrap();
    let script = format!("cat <&{}", open.as_raw_fd());
    let output = run(&place, &["bash", "-c", &script]).await.unwrap();
    assert!(
        output.ends_with("Bad file descriptor\n[exit code 1]"),
        "{output}"
    );
}

#[tokio::test]
async fn run_command_cannot_change_limits_and_priorities_of_others() {
    let place = GuardedRoot::new();
    let own = std::process::id();
    for script in [
        format!("prlimit --pid {own} --nofile=1"),
        format!("renice -n 19 -p {own}"),
        "chrt -f 50 true".to_owned(),
    ] {
        let output = shell(&place, &script).await;
        assert!(
            output.contains("Operation not permitted"),
            "{script}: {output}"
        );
        assert!(!output.ends_with("[exit code 0]"), "{script}: {output}");
    }
    assert_eq!(shell(&place, "nice -n 5 true").await, "[exit code 0]");
}

#[tokio::test]
async fn run_command_cannot_write_a_file_beyond_its_size() {
    let place = GuardedRoot::new();
    let options = CommandOptions::default().max_file_bytes(100_000);
    let fill = [
        "dd",
        "if=/dev/zero",
        "of=big",
        "bs=1000",
        "count=200",
        "status=none",
    ];
    let output = run_with(&place, options, &fill).await;
    assert_eq!(output, Ok("[ended by signal 25]".to_owned()));
    assert_eq!(fs::metadata(place.inside("big")).unwrap().len(), 100_000);
}

#[tokio::test]
async fn run_command_ends_what_it_leaves_in_the_background() {
    let place = GuardedRoot::new();
    // `setsid`, `nohup`, and a child whose parent is gone are what gets away elsewhere.
    let script = "nohup sleep 86412 > /dev/null 2>&1 & (sleep 86412 &) ; setsid sleep 86412; \
        python3 -c 'import os; os.setsid()' || perl -e 'use POSIX; POSIX::setsid() > 0 or die'; echo done";
    let output = shell(&place, script).await;
    assert!(
        output.ends_with("\ndone\n[exit code 0; 2 in the background ended]"),
        "{output}"
    );
    assert_eq!(n_processes_with("86412"), 0);
}

#[tokio::test]
async fn run_command_with_a_fork_bomb_is_ended() {
    let place = GuardedRoot::new();
    let options = CommandOptions::default().max_processes(20);
    // Its name is what is looked for afterwards.
    // It ends by itself after a thousand processes: were it not ended here, it would take the machine with it.
    let script = "bomb_86413() { [ $1 -gt 9 ] && exec sleep 86413; bomb_86413 $(($1 + 1)) & bomb_86413 $(($1 + 1)); }; bomb_86413 0";
    let output = run_with(&place, options, &["sh", "-c", script])
        .await
        .unwrap();
    assert!(
        output.ends_with("[ended, because it had more than 20 processes]"),
        "{output}"
    );
    assert_eq!(n_processes_with("bomb_86413"), 0);
}

#[tokio::test]
async fn run_command_that_ends_before_its_many_processes_is_told_that_it_had_too_many() {
    let place = GuardedRoot::new();
    let options = CommandOptions::default().max_processes(5);
    let script = "for n in 1 2 3 4 5 6 7 8; do sleep 86417 & done";
    let output = run_with(&place, options, &["sh", "-c", script]).await;
    let expected = "[ended, because it had more than 5 processes]";
    assert_eq!(output, Ok(expected.to_owned()));
    assert_eq!(n_processes_with("86417"), 0);
}

#[tokio::test]
async fn run_command_beyond_its_memory_is_ended() {
    let place = GuardedRoot::new();
    let options = CommandOptions::default().max_memory_bytes(100 * 1024 * 1024);
    // In sum: each `tail` holds less than the bound.
    let hold = "head -c 70000000 /dev/zero | tail -c 70000000 | sleep 86414";
    let script = format!("({hold}) & ({hold})");
    let output = run_with(&place, options, &["sh", "-c", &script]).await;
    let expected = "[ended, because it used more than 104857600 bytes of memory]";
    assert_eq!(output, Ok(expected.to_owned()));
    assert_eq!(n_processes_with("86414"), 0);
}

#[tokio::test]
async fn run_command_that_is_given_up_is_ended() {
    let place = GuardedRoot::new();
    let tool = place.workspace.run_command(CommandOptions::default());
    let arguments: Value = json!({"command": ["sh", "-c", "sleep 86415 & touch started; sleep 86415"], "folder": null});
    {
        let running = call(&tool, &arguments);
        tokio::pin!(running);
        // Given up as soon as it is known to run.
        while !place.inside("started").exists() {
            tokio::select! {
                ended = &mut running => panic!("it ended: {ended:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    // The signal was sent when the future was dropped; the kernel needs a moment.
    while n_processes_with("86415") > 0 {
        tokio::task::yield_now().await;
    }
}
