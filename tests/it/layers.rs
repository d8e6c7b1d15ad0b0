//! The order of the house: what the source itself must keep to.
//!
//! Only the program is judged: comments and whatever is compiled for tests are taken away first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One file below `src`, as the program sees it.
struct Source {
    /// Such as `store/users.rs`.
    path: String,
    /// The module at the top that it belongs to.
    module: String,
    /// Without comments and test modules.
    code: String,
}

#[test]
fn a_file_uses_only_modules_above_its_own() {
    let order = order();
    let place = |module: &str| order.iter().position(|known| known == module);
    let mut wrong = Vec::new();
    for source in sources() {
        let own = place(&source.module);
        let own = own.unwrap_or_else(|| panic!("{} is not in src/lib.rs", source.path));
        for used in used_modules(&source.code) {
            match place(&used) {
                Some(other) if other <= own => {}
                Some(_) => wrong.push(format!("{} uses crate::{used}, below it", source.path)),
                None => wrong.push(format!("{} uses crate::{used}, no module", source.path)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_reaches_other_modules_by_their_full_path_only() {
    let wrong: Vec<String> = sources()
        .into_iter()
        .filter(|source| {
            // From the module's own file one `super` is the crate, from a file in its folder two.
            let out = match source.path.contains('/') && !source.path.ends_with("/mod.rs") {
                true => "super::super::",
                false => "super::",
            };
            source.code.split(out).count() > 1
        })
        .map(|source| source.path)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn nothing_outside_the_store_contains_sql() {
    const STATEMENTS: [&str; 10] = [
        "SELECT ",
        "INSERT INTO ",
        "UPDATE ",
        "DELETE FROM ",
        "CREATE TABLE",
        "CREATE INDEX",
        "CREATE TRIGGER",
        "ALTER TABLE",
        "DROP TABLE",
        "PRAGMA ",
    ];
    // The writer alone opens and ends transactions by statements.
    const TRANSACTIONS: [&str; 5] = [
        "\"BEGIN",
        "\"COMMIT",
        "\"ROLLBACK",
        "\"SAVEPOINT",
        "\"RELEASE",
    ];
    let mut wrong = Vec::new();
    let mut in_store = 0;
    for source in sources() {
        let has = |words: &[&'static str]| -> Vec<&'static str> {
            let found = words.iter().filter(|word| source.code.contains(**word));
            found.copied().collect()
        };
        if source.module == "store" {
            in_store += has(&STATEMENTS).len();
            continue;
        }
        let mut found = has(&STATEMENTS);
        if source.module != "writer" {
            found.extend(has(&TRANSACTIONS));
        }
        wrong.extend(found.iter().map(|word| format!("{}: {word}", source.path)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(in_store > 0, "the store's own SQL was not seen");
}

#[test]
fn modules_above_answer_know_no_http() {
    let order = order();
    let answer = order.iter().position(|module| module == "answer").unwrap();
    let above: BTreeSet<&String> = order[..answer].iter().collect();
    let wrong: Vec<String> = sources()
        .into_iter()
        .filter(|source| above.contains(&source.module) && source.code.contains("actix"))
        .map(|source| source.path)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_used_module_is_seen_in_every_spelling() {
    let table = [
        ("use crate::clock::Timestamp;", vec!["clock"]),
        ("use crate::store;", vec!["store"]),
        (
            "use crate::{store, user::{Name, Role}};",
            vec!["store", "user"],
        ),
        ("use crate::{\n    a::b,\n    c as d,\n};", vec!["a", "c"]),
        ("let x = crate::api::json(1);", vec!["api"]),
        ("let x = mycrate::api::json(1);", vec![]),
    ];
    for (code, expected) in table {
        let used = used_modules(code);
        assert_eq!(used.iter().collect::<Vec<_>>(), expected, "{code}");
    }
    let code =
        program("a\n// crate::x\nb // crate::y\n#[cfg(test)]\nmod tests {\n    crate::z\n}\nc");
    assert_eq!(code, "a\n\nb \nc\n");
}

/// The modules of `src/lib.rs`, top to bottom.
fn order() -> Vec<String> {
    let lib = fs::read_to_string(root().join("lib.rs")).unwrap();
    let modules = lib.lines().filter_map(|line| {
        let line = line.trim_start_matches("pub ");
        let name = line.strip_prefix("mod ")?.strip_suffix(';')?;
        Some(name.to_owned())
    });
    let modules: Vec<String> = modules.collect();
    assert!(modules.len() > 10, "src/lib.rs was not understood");
    modules
}

/// Every file but `main.rs`, `lib.rs` and what is compiled for tests.
fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    collect(&root(), &mut files);
    let sources = files.into_iter().filter_map(|file| {
        let path = file.strip_prefix(root()).unwrap();
        let path = path.to_str().unwrap().to_owned();
        let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
        if ["main.rs", "lib.rs"].contains(&path.as_str()) || is_test {
            return None;
        }
        let module = path.split('/').next().unwrap().trim_end_matches(".rs");
        Some(Source {
            module: module.to_owned(),
            code: program(&fs::read_to_string(&file).unwrap()),
            path,
        })
    });
    let sources: Vec<Source> = sources.collect();
    assert!(sources.len() > 30, "src was not found");
    sources
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// A file without comments and without its test module (rustfmt ends it with a `}` at the margin).
fn program(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" {
            let opens = lines.next().is_some_and(|line| line.ends_with('{'));
            while opens && lines.next().is_some_and(|line| line != "}") {}
            continue;
        }
        // A "//" inside of a text is an address, which has a colon before it.
        let end = line
            .match_indices("//")
            .map(|(at, _)| at)
            .find(|at| !line[..*at].ends_with(':'));
        code.push_str(&line[..end.unwrap_or(line.len())]);
        code.push('\n');
    }
    code
}

/// What stands after `crate::`, braces opened.
fn used_modules(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|before| before.is_alphanumeric() || "_$".contains(before)) {
            continue;
        }
        let rest = &code[at + found.len()..];
        match rest.strip_prefix('{') {
            Some(list) => used.extend(first_names(list)),
            None => used.extend([name(rest)]),
        }
    }
    used
}

/// The first name of each item of a `use` list.
fn first_names(list: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(name(&list[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(name(&list[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn name(text: &str) -> String {
    let text = text.trim_start();
    let end = text.find(|character: char| !character.is_alphanumeric() && character != '_');
    text[..end.unwrap_or(text.len())].to_owned()
}
