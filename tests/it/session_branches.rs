//! Branches of a session in SQLite.

use openai_agents::Item;
use openai_agents::session::{
    BranchName, ForkPoint, Session, SessionBranch, SessionError, SessionId, SessionTurn,
    SqliteSession, SqliteSessions,
};
use openai_agents::testing::session_conformance;
use rusqlite::Connection;

use crate::folder::Folder;

fn turn(text: &str) -> SessionTurn {
    SessionTurn::new([Item::user(text), Item::assistant(text)])
}

async fn texts(session: &SqliteSession) -> Vec<String> {
    let items = session.items(None).await.unwrap().items;
    items.iter().filter_map(Item::assistant_text).collect()
}

fn branches(found: &[SessionBranch]) -> Vec<(&str, Option<&str>, u64, u64)> {
    found
        .iter()
        .map(|branch| {
            let parent = branch.parent.as_ref().map(BranchName::as_str);
            (
                branch.name.as_str(),
                parent,
                branch.n_items,
                branch.n_forked,
            )
        })
        .collect()
}

#[tokio::test]
async fn a_branch_conforms() {
    let folder = Folder::new();
    let sessions = SqliteSessions::open(folder.path("a.db")).await.unwrap();
    session_conformance("", async |id| {
        let main = sessions.session(id);
        match main.switch("b").await {
            Ok(branch) => branch,
            Err(_) => main.fork("b", ForkPoint::End).await.unwrap(),
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_conversation_goes_two_ways() {
    let folder = Folder::new();
    let path = folder.path("a.db");
    let sessions = SqliteSessions::open(&path).await.unwrap();
    let main = sessions.session(SessionId::new("s").unwrap());
    for text in ["a", "b", "c"] {
        main.append(turn(text)).await.unwrap();
    }
    assert_eq!(main.branch(), &BranchName::main());
    let again = main.fork("again", ForkPoint::BeforeTurn(2)).await.unwrap();
    assert_eq!(again.branch(), &BranchName::from("again"));
    again.append(turn("B")).await.unwrap();
    let copy = again
        .fork("'; DROP TABLE x; --", ForkPoint::End)
        .await
        .unwrap();
    main.append(turn("d")).await.unwrap();
    assert_eq!(texts(&main).await, ["a", "b", "c", "d"]);
    assert_eq!(texts(&again).await, ["a", "B"]);
    assert_eq!(texts(&copy).await, ["a", "B"]);
    let found = copy.branches().await.unwrap();
    let expected = [
        ("main", None, 8, 0),
        ("again", Some("main"), 4, 2),
        ("'; DROP TABLE x; --", Some("again"), 4, 4),
    ];
    assert_eq!(branches(&found), expected);
    // Another process finds them, and the tables of the Python SDK have the main branch only.
    let other = SqliteSessions::open(&path)
        .await
        .unwrap()
        .session(SessionId::new("s").unwrap());
    assert_eq!(
        texts(&other.switch("again").await.unwrap()).await,
        ["a", "B"]
    );
    assert_eq!(
        texts(&copy.switch("main").await.unwrap()).await,
        ["a", "b", "c", "d"]
    );
    let n_main = Connection::open(&path).unwrap();
    let n_main = n_main.query_row("SELECT count(*) FROM agent_messages", [], |row| row.get(0));
    assert_eq!(n_main, Ok(8));
    // A branch that is cleared is empty; one that is deleted is gone, for its handles too.
    again.clear().await.unwrap();
    assert_eq!(texts(&again).await, [""; 0]);
    main.delete_branch("again").await.unwrap();
    for error in [
        again.append(turn("x")).await.map(drop).unwrap_err(),
        again.items(None).await.map(drop).unwrap_err(),
        again.pop().await.map(drop).unwrap_err(),
        again.clear().await.unwrap_err(),
        again.fork("y", ForkPoint::End).await.map(drop).unwrap_err(),
        main.switch("again").await.map(drop).unwrap_err(),
        main.delete_branch("again").await.unwrap_err(),
        main.delete_branch("main").await.unwrap_err(),
    ] {
        assert!(matches!(error, SessionError::NoBranch { .. }), "{error:?}");
    }
    assert_eq!(texts(&copy).await, ["a", "B"]);
    main.clear().await.unwrap();
    assert_eq!(
        branches(&main.branches().await.unwrap()),
        [("main", None, 0, 0)]
    );
    assert_eq!(sessions.list(None).await.unwrap(), []);
}

#[tokio::test]
async fn a_fork_that_cannot_be_made_leaves_nothing() {
    let folder = Folder::new();
    let sessions = SqliteSessions::open(folder.path("a.db")).await.unwrap();
    let main = sessions.session(SessionId::new("s").unwrap());
    main.append(turn("a")).await.unwrap();
    for bad in [0, 2] {
        let error = main
            .fork("b", ForkPoint::BeforeTurn(bad))
            .await
            .unwrap_err();
        assert!(
            matches!(error, SessionError::NoTurn { n_turns: 1, .. }),
            "{error:?}"
        );
    }
    main.fork("b", ForkPoint::BeforeTurn(1)).await.unwrap();
    for taken in ["b", "main"] {
        let error = main.fork(taken, ForkPoint::End).await.unwrap_err();
        assert!(
            matches!(error, SessionError::BranchExists { .. }),
            "{error:?}"
        );
    }
    let found = main.branches().await.unwrap();
    assert_eq!(
        branches(&found),
        [("main", None, 2, 0), ("b", Some("main"), 0, 0)]
    );
    // Another session has branches of its own.
    let other = sessions.session(SessionId::new("t").unwrap());
    other.fork("b", ForkPoint::End).await.unwrap();
    assert_eq!(main.branches().await.unwrap(), found);
}

#[tokio::test]
async fn a_file_that_the_other_sdk_made_has_its_main_branch() {
    let folder = Folder::new();
    let path = folder.path("python.db");
    let made = SqliteSessions::open(&path).await.unwrap();
    let session = made.session(SessionId::new("s").unwrap());
    session.append(turn("a")).await.unwrap();
    drop((session, made));
    // What that SDK does not make.
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "DROP TABLE openai_agents_branch_messages; DROP TABLE openai_agents_branches;
         DROP TABLE openai_agents_format;",
    )
    .unwrap();
    drop(db);
    let read = SqliteSessions::open_read_only(&path).await.unwrap();
    let session = read.session(SessionId::new("s").unwrap());
    let found = session.branches().await.unwrap();
    assert_eq!(branches(&found), [("main", None, 2, 0)]);
}

/// The order of writing, in a file whose times say the contrary, as after a clock that was set back.
#[tokio::test]
async fn list_is_in_the_order_of_writing_whatever_the_clock_said() {
    let folder = Folder::new();
    let path = folder.path("clock.db");
    let sessions = SqliteSessions::open(&path).await.unwrap();
    let db = Connection::open(&path).unwrap();
    let sql =
        "UPDATE agent_sessions SET updated_at = CASE session_id WHEN 'c' THEN '2019-01-01 00:00:00'
        WHEN 'b' THEN '2029-01-01 00:00:00' ELSE '2039-01-01 00:00:00' END";
    let listed = async || {
        db.execute(sql, []).unwrap();
        let list = sessions.list(None).await.unwrap();
        let newest = sessions.list(Some(1)).await.unwrap();
        assert_eq!(newest, list[..1]);
        let read = SqliteSessions::open_read_only(&path).await.unwrap();
        assert_eq!(read.list(None).await.unwrap(), list);
        list.iter().map(|it| it.id.to_string()).collect::<String>()
    };
    let session = |id: &str| sessions.session(SessionId::new(id).unwrap());
    for id in ["a", "b", "c"] {
        session(id).append(turn("x")).await.unwrap();
    }
    assert_eq!(listed().await, "cba");
    let fork = session("a").fork("f", ForkPoint::End).await.unwrap();
    assert_eq!(listed().await, "acb");
    session("b").append(turn("x")).await.unwrap();
    assert_eq!(listed().await, "bac");
    fork.append(turn("x")).await.unwrap();
    assert_eq!(listed().await, "abc");
    // As the Python SDK writes.
    let sql = "INSERT INTO agent_messages (session_id, message_data) VALUES ('c', '{\"role\": \"user\", \"content\": \"x\"}')";
    db.execute(sql, []).unwrap();
    assert_eq!(listed().await, "cab");
    session("b").replace(turn("x")).await.unwrap();
    assert_eq!(listed().await, "bca");
}
