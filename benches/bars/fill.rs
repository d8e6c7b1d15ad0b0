//! A database of any size, with tokens that are known by their numbers.

use std::path::{Path, PathBuf};
use std::time::Instant;

use netbird_auth::clock::Timestamp;
use netbird_auth::first_start::Owner;
use netbird_auth::store;
use netbird_auth::token::{Lifetime, PlainToken};
use netbird_auth::user::{Name, TokenNumber, UserNumber};
use netbird_auth::xid::Xid;
use rusqlite::{Connection, params};

/// How big a house is.
#[derive(Clone, Copy, PartialEq)]
pub struct Size {
    /// Good tokens, of numbers from 0; the users have them in turn.
    pub tokens: u32,
    /// Beside the owner.
    pub users: u32,
}

impl Size {
    /// A lot for a home.
    pub const HOME: Self = Self {
        tokens: 1_000,
        users: 100,
    };

    /// A million tokens; few where the program is only tried.
    pub fn large(is_small: bool) -> Self {
        Self {
            tokens: if is_small { 20_000 } else { 1_000_000 },
            users: 1_000,
        }
    }
}

/// Tokens that have expired; their numbers are counted from [`EXPIRED`] on.
pub const EXPIRED_TOKENS: u32 = 1_000;
/// Far beyond every good one.
pub const EXPIRED: u32 = 4_000_000_000;
/// Numbers of tokens that are in no database.
pub const UNKNOWN: std::ops::Range<u32> = 3_000_000_000..3_000_001_000;

/// The database of a size in a folder, and the plain token of its owner.
pub struct Filled {
    pub path: PathBuf,
    pub owner: String,
    pub size: Size,
}

/// The plain text of a token, by its number.
pub fn token(number: u32) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letter = |value: u32| char::from(ALPHABET[value as usize % 62]);
    let random = blake3::hash(&number.to_be_bytes());
    let secret: String = random.as_bytes()[..30]
        .iter()
        .map(|byte| letter(u32::from(*byte)))
        .collect();
    let sum = crc32fast::hash(secret.as_bytes());
    let sum: String = (0..6).rev().map(|at| letter(sum / 62u32.pow(at))).collect();
    format!("nbp_{secret}{sum}")
}

/// The id on the wire of a token, by its number.
pub fn token_id(number: u32) -> Xid {
    let [a, b, c, d] = number.to_be_bytes();
    Xid::from_bytes(&[0, 0, 0, 1, 0, 0, 0, 0, a, b, c, d])
}

/// The id of a user, from 1 on.
pub fn user_id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// Makes a database as a first start does; the plain token of its owner.
pub fn make(path: &Path) -> String {
    let owner = Owner {
        name: Name::parse("Owner").unwrap(),
        email: Name::empty(),
        identity: None,
        token: PlainToken::generate().unwrap(),
        lifetime: Lifetime::days(30).unwrap(),
    };
    owner.create_database(path, Timestamp::now(), None).unwrap();
    owner.token.expose().to_owned()
}

/// Makes a database with a name in a folder, and fills it. Each token has been used once.
pub fn fill(folder: &Path, name: &str, size: Size) -> Filled {
    let started = Instant::now();
    let path = folder.join(name);
    let now = Timestamp::now();
    let owner = make(&path);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA synchronous = OFF; PRAGMA cache_size = -4000000; PRAGMA journal_mode = OFF; BEGIN",
        )
        .unwrap();
    users(&connection, size, now);
    let mut tokens = Tokens::new(&connection, size, now);
    let mut told = Instant::now();
    for number in 0..size.tokens {
        tokens.add(number, now.plus_days(365));
        if told.elapsed().as_secs() >= 5 {
            told = Instant::now();
            eprintln!("  {number} of {} tokens", size.tokens);
        }
    }
    for number in EXPIRED..EXPIRED + EXPIRED_TOKENS {
        tokens.add(number, now);
    }
    drop(tokens);
    connection
        .execute_batch("COMMIT; PRAGMA journal_mode = DELETE;")
        .unwrap();
    drop(connection);
    // Opened and closed as the server does it: the file is in the state that a server leaves.
    drop(store::open_writer(&path, std::time::Duration::ZERO).unwrap());
    eprintln!(
        "filled a database with {} tokens of {} users in {:.1} s",
        size.tokens,
        size.users,
        started.elapsed().as_secs_f64()
    );
    Filled { path, owner, size }
}

fn users(connection: &Connection, size: Size, now: Timestamp) {
    let mut insert = connection
        .prepare(
            "INSERT INTO users (number, id, origin, name, email, role, auto_groups, is_service, created_at)
             VALUES (?1, ?2, 'api', ?3, ?4, 'user', '[]', 0, ?5)",
        )
        .unwrap();
    for number in 1..=size.users {
        let name = format!("User {number}");
        let email = format!("user{number}@home.arpa");
        // The owner is 1.
        let row = UserNumber(number + 1);
        insert
            .execute(params![row, user_id(number), name, email, now])
            .unwrap();
    }
}

struct Tokens<'a> {
    token: rusqlite::Statement<'a>,
    usage: rusqlite::Statement<'a>,
    users: u32,
    now: Timestamp,
    row: u32,
}

impl<'a> Tokens<'a> {
    fn new(connection: &'a Connection, size: Size, now: Timestamp) -> Self {
        let token = "INSERT INTO tokens (number, hash, id, user, name, created_at, expires_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let usage = "INSERT INTO token_usage (token, last_used) VALUES (?1, ?2)";
        Self {
            token: connection.prepare(token).unwrap(),
            usage: connection.prepare(usage).unwrap(),
            users: size.users,
            now,
            // The owner's is 1.
            row: 1,
        }
    }

    fn add(&mut self, number: u32, end: Timestamp) {
        self.row += 1;
        let row = TokenNumber(self.row);
        let hash = PlainToken::parse(&token(number)).unwrap().hash();
        let user = UserNumber(2 + number % self.users);
        let name = format!("token {number}");
        let (id, now) = (token_id(number), self.now);
        self.token
            .execute(params![row, hash, id, user, name, now, end])
            .unwrap();
        self.usage.execute(params![row, now]).unwrap();
    }
}
