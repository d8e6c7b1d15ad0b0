//! The command line. Every command works on the database file itself; a running server follows
//! within a second.
//!
//! What was asked for goes to standard output, all else to standard error. A secret is never taken
//! from an argument, where other users of the machine could read it.

mod backup;
mod bootstrap;
mod certificate;
mod check;
mod database;
mod explain;
mod failure;
mod healthcheck;
mod jwt;
mod listen;
mod output;
mod place;
mod progress;
mod restore;
mod serve;
mod supervisor;
mod token;
mod unix_socket;
mod user;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::{self, Environment, Loaded};
use failure::Failure;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 not found, \
                          4 denied or already there, or it would not pass.\nEvery setting: netbird-auth.toml. Every setting but those in double brackets: also \
                          NETBIRD_AUTH_<SECTION>__<KEY>.";

/// NetBird's API authentication: one binary, one SQLite file.
#[derive(Parser)]
#[command(name = "netbird-auth", version, after_help = EXIT_CODES)]
struct Arguments {
    /// Configuration file [default: the first of $NETBIRD_AUTH_CONFIG, ./netbird-auth.toml,
    /// $XDG_CONFIG_HOME/netbird-auth/netbird-auth.toml, /etc/netbird-auth/netbird-auth.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server; the first start makes the database, its owner and a token
    Serve(serve::Serve),
    /// Make the database with its owner, and write the owner's token out
    Bootstrap(bootstrap::Bootstrap),
    /// Write a backup of the database to a new file, beside a running server too
    Backup(backup::Backup),
    /// Put a backup in the place of the database, while no server runs
    Restore(restore::Restore),
    /// List, make and change users
    #[command(subcommand)]
    User(user::UserCommand),
    /// List, make and revoke tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Say what forward-auth would do with a request, rule by rule; exit code 4 where it refuses
    Explain(explain::Explain),
    /// Look at JSON Web Tokens
    #[command(subcommand)]
    Jwt(jwt::JwtCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(check::ConfigCommand),
    /// Ask the running server whether it is well
    Healthcheck(healthcheck::Healthcheck),
}

/// Runs the command of this process's arguments; the exit code.
pub fn run() -> i32 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && looks_secret(&error.to_string()) => {
            output::tell(
                "netbird-auth: an argument is out of place and looks like a token, which is never \
                 taken from one; see 'netbird-auth --help'",
            );
            return error.exit_code();
        }
        Err(error) => {
            // Help and version are no errors, and go to standard output.
            let _ = error.print();
            return error.exit_code();
        }
    };
    match arguments.run() {
        Ok(()) => 0,
        Err(failure) => {
            output::tell(&format!("netbird-auth: {failure}"));
            failure.exit_code()
        }
    }
}

/// Whether a text may hold a token or a JWT, and must not be repeated.
fn looks_secret(text: &str) -> bool {
    text.contains("nbp_") || text.contains("eyJ")
}

impl Arguments {
    fn run(self) -> Result<(), Failure> {
        let environment = Environment::from_process();
        let loaded: Loaded = config::load(self.config.as_deref(), &environment)?;
        let database = loaded.config.database.path.clone();
        match self.command {
            Command::Serve(command) => command.run(loaded, environment),
            Command::Bootstrap(command) => command.run(loaded.config),
            Command::Backup(command) => command.run(&database),
            Command::Restore(command) => command.run(&database),
            Command::User(command) => command.run(&loaded.config),
            Command::Token(command) => command.run(&database),
            Command::Explain(command) => command.run(loaded.config),
            Command::Jwt(command) => command.run(loaded.config),
            Command::Config(command) => command.run(loaded),
            Command::Healthcheck(command) => command.run(&loaded.config.server),
        }
    }
}
