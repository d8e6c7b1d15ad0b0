//! Which file is read, and where its paths begin.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

#[test]
fn a_named_file_must_exist_and_the_flag_goes_before_the_variable() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, level: &str| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, format!("log.level = '{level}'")).unwrap();
        path
    };
    let flag = write("flag.toml", "warn");
    let named = write("variable.toml", "debug");
    let missing = folder.path().join("missing.toml");
    let variable = |path: &Path| environment(&[("NETBIRD_AUTH_CONFIG", path.to_str().unwrap())]);

    let loaded = load(Some(&flag), &variable(&named)).unwrap();
    assert_eq!(loaded.config.log.level, log::LevelFilter::Warn);
    assert_eq!(loaded.file, Some(flag));
    let loaded = load(None, &variable(&named)).unwrap();
    assert_eq!(loaded.config.log.level, log::LevelFilter::Debug);
    assert_eq!(loaded.file.as_deref(), Some(named.as_path()));
    let message = |result: Result<Loaded, ConfigError>| result.err().unwrap().to_string();
    let by_flag = message(load(Some(&missing), &variable(&named)));
    assert!(by_flag.starts_with("--config: cannot read "), "{by_flag}");
    let by_variable = message(load(None, &variable(&missing)));
    assert!(
        by_variable.starts_with("NETBIRD_AUTH_CONFIG: cannot read "),
        "{by_variable}"
    );
}

#[test]
fn the_usual_places_are_the_working_directory_the_home_and_etc() {
    let places = |variables: &[(&str, &str)]| location::usual_places(&environment(variables));
    let here = PathBuf::from("netbird-auth.toml");
    let etc = PathBuf::from("/etc/netbird-auth/netbird-auth.toml");
    let xdg = PathBuf::from("/xdg/netbird-auth/netbird-auth.toml");
    let home = PathBuf::from("/home/a/.config/netbird-auth/netbird-auth.toml");
    assert_eq!(places(&[]), [here.clone(), etc.clone()]);
    assert_eq!(
        places(&[("XDG_CONFIG_HOME", "/xdg"), ("HOME", "/home/a")]),
        [here.clone(), xdg, etc.clone()]
    );
    for unusable in ["", "relative"] {
        assert_eq!(
            places(&[("XDG_CONFIG_HOME", unusable), ("HOME", "/home/a")]),
            [here.clone(), home.clone(), etc.clone()]
        );
    }
}

#[test]
fn paths_in_the_file_begin_at_its_folder() {
    let text = "database.path = 'a.db'\nbootstrap.token_file = '/run/token'";
    let config = parse_at("/etc/x/netbird-auth.toml", text, &[]).unwrap();
    let shown = shown(&config);
    assert_eq!(shown["database.path"], "/etc/x/a.db");
    assert_eq!(shown["bootstrap.token_file"], "/run/token");
    let config = parse_at("/etc/x/netbird-auth.toml", "", &[]).unwrap();
    assert_eq!(config.database.path, Path::new("netbird-auth.db"));
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf_8_is_refused() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let value = OsString::from_vec(vec![0xff]);
    let environment = Environment::new([("NETBIRD_AUTH_LOG__LEVEL", value)]);
    let message = load(None, &environment).err().unwrap().to_string();
    assert_eq!(message, "NETBIRD_AUTH_LOG__LEVEL is not valid UTF-8");
    let message = reader::File::parse(Path::new("f"), b"\n\xff")
        .err()
        .unwrap();
    assert_eq!(message.to_string(), "f:2: not valid UTF-8");
}
