//! No message holds a byte of a secret.

use super::pem::{block, load_pem};
use super::*;

const SECRET: &[u8] = b"Xq7Zk2Vw9Jf4Tn8Hb3Lm6Rc5Py1Gd0SaU";

#[test]
fn no_message_holds_a_byte_of_a_secret() {
    let secret = base64(SECRET);
    let mut messages = Vec::new();
    for member in [
        "d", "p", "q", "dp", "dq", "qi", "oth", "k", "n", "e", "x", "y",
    ] {
        for key in [rsa(), p256(), ed25519(), oct(64), json!({"kty": "X"})] {
            for value in [json!(secret), json!(format!("{secret}=")), json!([secret])] {
                let key = with(key.clone(), json!({member: value}));
                for algorithms in ["RS256 ES256", "HS384"] {
                    let mut settings = home(algorithms);
                    settings.keys.push(named(jwk(&key)));
                    messages.extend(load(settings).err());
                    let text = json!({"keys": [key]}).to_string();
                    messages.extend(load_text(home(algorithms), &text).err());
                    // Cut off, as by a full disk.
                    messages.extend(load_text(home(algorithms), &text[..text.len() - 2]).err());
                    messages.extend(load_pem(algorithms, &text).err());
                }
            }
        }
    }
    for label in [
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "PUBLIC KEY",
        "CERTIFICATE",
        "X",
    ] {
        let text = block(label, SECRET);
        messages.extend(load_pem("RS256", &text).err());
        messages.extend(load_text(home("RS256"), &text).err());
        let mut settings = home("RS256");
        settings.keys.push(named(KeySource::Jwk(text.into())));
        messages.extend(load(settings).err());
    }
    assert!(messages.len() > 400, "{}", messages.len());
    let secret = [secret, String::from_utf8(SECRET.to_vec()).unwrap()];
    for message in messages {
        for secret in &secret {
            let shown = (0..secret.len() - 6).find(|at| message.contains(&secret[*at..at + 6]));
            assert_eq!(shown, None, "{message}");
        }
    }
}

#[test]
fn the_text_of_a_key_is_gone_once_the_key_is_read() {
    let mut settings = home("HS256");
    settings.keys.push(named(jwk(&oct(40))));
    let loaded = load(settings).unwrap();
    let issuer = only(&loaded);
    assert!(issuer.settings.keys.is_empty(), "it stands there still");
    assert_eq!(issuer.keys.len(), 1);
}
