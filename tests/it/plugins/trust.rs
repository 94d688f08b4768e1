//! Discovery, and trust in what a folder held when it was given.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use openai_agents::plugin::{Plugins, TrustState};

use super::{Package, SCHEMA, words};

fn states(plugins: &Plugins) -> Vec<(String, TrustState)> {
    let found = plugins.found().iter();
    found
        .map(|found| {
            let name = found
                .plugin
                .as_ref()
                .map_or_else(|error| words(error), |plugin| plugin.name().to_owned());
            (name, found.trust)
        })
        .collect()
}

#[test]
fn plugins_are_not_used_before_they_are_trusted() {
    let package = Package::new("").skill("a");
    let plugins = package.discovered();
    assert_eq!(states(&plugins), [("p".to_owned(), TrustState::Untrusted)]);
    assert_eq!(plugins.enabled().count(), 0);
    package
        .trust()
        .trust(plugins.found()[0].plugin.as_ref().unwrap())
        .unwrap();
    let plugins = package.discovered();
    assert_eq!(states(&plugins), [("p".to_owned(), TrustState::Trusted)]);
    assert_eq!(plugins.enabled().count(), 1);
    let mode = package
        .outside("trust.json")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(package.trust().untrust(&package.root()).unwrap());
    assert!(!package.trust().untrust(&package.root()).unwrap());
    assert_eq!(package.discovered().enabled().count(), 0);
}

#[test]
fn plugins_that_change_in_any_way_lose_their_trust() {
    type Change = fn(&Package);
    let changes: [Change; 7] = [
        |package| {
            fs::write(
                package.path("skills/a/SKILL.md"),
                "---\nname: a\ndescription: other\n---",
            )
            .unwrap();
        },
        |package| fs::write(package.path("new"), "").unwrap(),
        |package| fs::create_dir(package.path("folder")).unwrap(),
        |package| fs::remove_file(package.path("extra")).unwrap(),
        |package| fs::rename(package.path("extra"), package.path("other")).unwrap(),
        |package| {
            fs::set_permissions(package.path("extra"), fs::Permissions::from_mode(0o755)).unwrap();
        },
        |package| symlink("extra", package.path("link")).unwrap(),
    ];
    for (n, change) in changes.iter().enumerate() {
        let package = Package::new("").skill("a").file("extra", "x");
        package
            .trust()
            .trust(package.discovered().found()[0].plugin.as_ref().unwrap())
            .unwrap();
        assert_eq!(package.discovered().enabled().count(), 1);
        change(&package);
        assert_eq!(
            states(&package.discovered()),
            [("p".to_owned(), TrustState::Changed)],
            "{n}"
        );
        assert_eq!(package.discovered().enabled().count(), 0);
    }
}

#[test]
fn plugins_that_others_can_change_are_refused() {
    let package = Package::new("").file("bin/x", "");
    for (name, said) in [
        ("bin/x", "bin/x".to_owned()),
        ("bin", "bin".to_owned()),
        ("", package.root().display().to_string()),
    ] {
        let mode = package.path(name).metadata().unwrap().permissions().mode();
        fs::set_permissions(package.path(name), fs::Permissions::from_mode(mode | 0o002)).unwrap();
        let plugins = package.named();
        let error = plugins.found()[0].plugin.as_ref().unwrap_err();
        assert_eq!(words(error), format!("{said} can be changed by everyone"));
        fs::set_permissions(package.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    assert_eq!(package.named().enabled().count(), 1);
}

#[test]
fn plugins_of_one_name_are_refused_but_for_the_first() {
    let package = Package::new("");
    fs::create_dir(package.outside("plugins/q")).unwrap();
    fs::write(
        package.outside("plugins/q/plugin.json"),
        format!(r#"{{"$schema": "{SCHEMA}", "name": "p"}}"#),
    )
    .unwrap();
    fs::create_dir(package.outside("plugins/no-plugin")).unwrap();
    let first = package.outside("plugins/p").display().to_string();
    let duplicate = format!("the plugin in {first} is named `p` as well");
    assert_eq!(
        states(&package.discovered()),
        [
            ("p".to_owned(), TrustState::Untrusted),
            (duplicate, TrustState::Untrusted)
        ]
    );
}

#[test]
fn plugins_folder_that_is_not_there_has_none() {
    let package = Package::new("");
    fs::remove_dir_all(package.outside("plugins")).unwrap();
    assert!(package.discovered().found().is_empty());
}
