//! Public keys in PEM (RFC 7468): SPKI and PKCS#1.

use spki::der::asn1::UintRef;
use spki::der::pem::Decoder;
use spki::der::{Decode, Reader, SliceReader};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::key::{Key, Wanted};
use super::key_fault::KeyFault;
use super::material::{Curve, Material};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

const BEGIN: &str = "-----BEGIN ";

/// The one key of a text, judged for an issuer.
pub(super) fn key(text: &str, wanted: &Wanted) -> Result<Key, KeyFault> {
    let material = material(text)?;
    let algorithm = wanted.pin(material.family(), None)?;
    Key::judge(wanted.kid(None)?, algorithm, &material)
}

fn material(text: &str) -> Result<Material, KeyFault> {
    // Of any format, and even in a broken file: it is the first thing to be said.
    if text.contains("PRIVATE KEY") {
        return Err(KeyFault::Private);
    }
    if text.contains("CERTIFICATE-----") {
        return Err(KeyFault::Certificate);
    }
    let text = text.trim_ascii();
    if !text.starts_with(BEGIN) || text.matches(BEGIN).count() != 1 {
        return Err(KeyFault::PemBlocks);
    }
    // Lines are 64 characters long by the standard, and any length in practice.
    let mut decoder = Decoder::new_detect_wrap(text.as_bytes()).map_err(|_| KeyFault::Pem)?;
    let mut der = Vec::new();
    decoder.decode_to_end(&mut der).map_err(|_| KeyFault::Pem)?;
    let material = match decoder.type_label() {
        "PUBLIC KEY" => spki(&der),
        "RSA PUBLIC KEY" => pkcs1(&der),
        _ => return Err(KeyFault::PemLabel),
    };
    material.ok_or(KeyFault::PemKey)
}

fn spki(der: &[u8]) -> Option<Material> {
    let info = SubjectPublicKeyInfoRef::from_der(der).ok()?;
    let key = info.subject_public_key.as_bytes()?;
    let parameters = info.algorithm.parameters;
    match info.algorithm.oid {
        RSA if parameters.is_some_and(|parameters| parameters.is_null()) => pkcs1(key),
        EC => match parameters?.decode_as::<ObjectIdentifier>().ok()? {
            P256 => point(Curve::P256, key),
            P384 => point(Curve::P384, key),
            _ => None,
        },
        ED25519 if parameters.is_none() => Some(Material::Ed25519 { x: key.to_vec() }),
        _ => None,
    }
}

fn pkcs1(der: &[u8]) -> Option<Material> {
    let mut reader = SliceReader::new(der).ok()?;
    let numbers = reader.sequence(|reader| {
        let (n, e) = (reader.decode::<UintRef>()?, reader.decode::<UintRef>()?);
        Ok::<_, spki::der::Error>((n, e))
    });
    let (n, e) = numbers.ok()?;
    reader.finish().ok()?;
    Some(Material::rsa(n.as_bytes(), e.as_bytes()))
}

/// The uncompressed form only.
fn point(curve: Curve, key: &[u8]) -> Option<Material> {
    let (4, coordinates) = key.split_first().map(|(form, rest)| (*form, rest))? else {
        return None;
    };
    let (x, y) = coordinates.split_at_checked(curve.size())?;
    Some(Material::Ec {
        curve,
        x: x.to_vec(),
        y: y.to_vec(),
    })
}
