//! Log lines through env_logger: for people, or one JSON object each.

use std::io::Write;

use log::LevelFilter;
use log::kv::{Error, Key, Value, VisitSource};

use crate::clock::Timestamp;
use crate::config::{Log, LogFormat};

/// Sends log lines to standard error from now on, and panics into the log.
pub fn start(config: &Log) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(config.level);
    // It tells of its threads at every start, which is no news to anybody.
    // What it can't parse has a line of ours, of which there are few.
    let of_parser = match config.level {
        level @ (LevelFilter::Debug | LevelFilter::Trace) => level,
        _ => LevelFilter::Off,
    };
    builder.filter_module("actix_http", of_parser);
    builder.filter_module("actix_server", config.level.min(LevelFilter::Warn));
    match config.format {
        LogFormat::Text => builder.format(|out, record| {
            write!(out, "{} {:5} ", Timestamp::now(), record.level())?;
            write!(out, "{}", record.args())?;
            let _ = record.key_values().visit(&mut Text(out));
            writeln!(out)
        }),
        LogFormat::Json => builder.format(|out, record| {
            let mut fields = serde_json::Map::new();
            fields.insert("time".to_owned(), Timestamp::now().to_string().into());
            fields.insert("level".to_owned(), record.level().as_str().into());
            fields.insert("message".to_owned(), record.args().to_string().into());
            let _ = record.key_values().visit(&mut Json(&mut fields));
            writeln!(out, "{}", serde_json::Value::Object(fields))
        }),
    };
    // A second start in one process (a test) keeps the first logger.
    let _ = builder.try_init();
    std::panic::set_hook(Box::new(|panic| {
        // Where, never what: a panic's text may hold a request's bytes.
        let place = panic.location().map(ToString::to_string);
        log::error!("code.location" = place.unwrap_or_default(); "panic: this is a bug, please report it");
    }));
}

struct Text<'a, W>(&'a mut W);

impl<'kvs, W: Write> VisitSource<'kvs> for Text<'_, W> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let text = value.to_string();
        let plain = !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'"');
        let written = match plain {
            true => write!(self.0, " {key}={text}"),
            false => write!(self.0, " {key}={text:?}"),
        };
        written.map_err(|_| Error::msg("not written"))
    }
}

struct Json<'a>(&'a mut serde_json::Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Json<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let json = match (value.to_u64(), value.to_bool()) {
            (Some(number), _) => number.into(),
            (_, Some(flag)) => flag.into(),
            _ => value.to_string().into(),
        };
        self.0.insert(key.to_string(), json);
        Ok(())
    }
}
