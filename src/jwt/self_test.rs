//! Whether the cryptography of this machine does what it should, before anybody is let in.
//!
//! Every algorithm checks one signature that somebody else made, and one with a changed byte. The
//! signatures are those of the RFCs where they have one. The rest was made by another library, with
//! the same keys.

use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;

use super::Algorithm;
use super::jwk::Object;
use super::key::{Key, Wanted};
use super::key_fault::KeyFault;

/// An algorithm that this machine gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelfTestFault {
    /// A key that must be taken is refused.
    #[error("self-test of {0}: a good key is refused")]
    Key(Algorithm),
    /// A signature that must be good is not.
    #[error("self-test of {0}: a good signature is refused")]
    Good(Algorithm),
    /// A signature that must be bad is not.
    #[error("self-test of {0}: a changed signature is accepted")]
    Changed(Algorithm),
}

/// A signed text and the key that it was signed with.
struct Vector {
    algorithm: Algorithm,
    jwk: &'static str,
    header: &'static str,
    payload: &'static str,
    signature: &'static str,
}

/// Checks every algorithm against signatures that are built in.
///
/// # Errors
/// [`SelfTestFault`] names the first algorithm that fails.
pub fn self_test() -> Result<(), SelfTestFault> {
    // It is the only one that is built in, and another one could only be there by a mistake in the
    // build. That it is there already is no fault.
    let _ = DEFAULT_PROVIDER.install_default();
    VECTORS
        .iter()
        .try_for_each(|vector| vector.check(Key::verify))
}

impl Vector {
    fn check(&self, verify: fn(&Key, &[u8], &str) -> bool) -> Result<(), SelfTestFault> {
        let key = self.key().map_err(|_| SelfTestFault::Key(self.algorithm))?;
        let message = format!("{}.{}", self.header, self.payload);
        if !verify(&key, message.as_bytes(), self.signature) {
            return Err(SelfTestFault::Good(self.algorithm));
        }
        if verify(&key, message.as_bytes(), &changed(self.signature)) {
            return Err(SelfTestFault::Changed(self.algorithm));
        }
        Ok(())
    }

    fn key(&self) -> Result<Key, KeyFault> {
        let wanted = Wanted::only(&self.algorithm);
        Object::parse(self.jwk.as_bytes())?.key(&wanted)
    }
}

/// With another first byte.
fn changed(signature: &str) -> String {
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let rest = signature.chars().skip(1);
    first.chars().chain(rest).collect()
}

/// RFC 7515 A.1.
const SECRET: &str = "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4\
    hcgUuTwjAzZr1Z9CAow\"}";

/// RFC 7515 A.2.
const RSA: &str = "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Va\
    w-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg\
    0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Z\
    wKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\
    \",\"e\":\"AQAB\"}";

/// RFC 7515 A.3.
const P256: &str = "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\
    \":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";

/// Of a private key that was thrown away.
const P384: &str = "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"8_EDs4_WPt_gssM6W6uk7BEpSi2eZ0vMDYixywUCQKcnx8ar3G\
    pLQ5scpTROTNoU\",\"y\":\"0kiBwl-36AxtYeqNmeSSGyjEFg6lWrZ8oYmmHDhwW6DytAbx1ODZ6zmnlERlctdO\"}";

/// RFC 8037 A.2.
const ED25519: &str =
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";

/// RFC 7515 A.1.
const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl\
    fQ";

const VECTORS: [Vector; 12] = [
    Vector {
        algorithm: Algorithm::Rs256,
        jwk: RSA,
        header: "eyJhbGciOiJSUzI1NiJ9",
        payload: CLAIMS,
        signature: "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Q\
            c_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTy\
            WzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwu\
            sC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5A\
            XLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    },
    Vector {
        algorithm: Algorithm::Rs384,
        jwk: RSA,
        header: "eyJhbGciOiJSUzM4NCJ9",
        payload: CLAIMS,
        signature: "UqgNjrJOGhk4wfoSG6Uvrt9GcKu-TgPwInExALrMBadg1pol1uTw7mZADTddAWsC6ZzdFiTFUmIi\
            7DuD38ftLAZoW4qezdAO7RYf1yZDsbT20bt8DJJN1I4VovL2PLg80B6x6ug-kaW8k5LaM5ce0dk1\
            zgWhjafKC3Mb4UNLL8f9fqVMkHpdWYRjF6QjTz12Ap-gq-tPyUoWSdvzCIYOcZ9-08SQQdUTTgsN\
            F1Qwu3TqeWPqzNJwmWHiHMmaV8I4ktMFEX-AiEBa55KsfYTx0jSbTHP-odqmnLQJ4n-oQJ2RSXy0\
            HQP6BkdiwDHdoMUk4z_wAeOsfDTs_mLxTgOInQ",
    },
    Vector {
        algorithm: Algorithm::Rs512,
        jwk: RSA,
        header: "eyJhbGciOiJSUzUxMiJ9",
        payload: CLAIMS,
        signature: "ZatQfsb2gyCu3y9cDuz59a-IKm4bkqtT0HuT8BpNlPCmA3Y2eH91CVSI0TbkPqI9v2jaXuWvPcoJ\
            GNRtTpUXafTAbqzxWSMjqx8SkJRTuUz6imaHBctra42j2AvJ1t7qJwf2NN49y9PZbkYn3ejhU-iC\
            mKJ3J-_GLsYp5VlximYm-o3sMul0tyCMvHUdmuWvadnVEaio-jix3pXYWfyFC8tp19zZrTaofxTA\
            zCqlqundx22tfsuqchto_zVnZk_ZBr1R5lr29Qle5JgLmRkfDNbVSQZFdwg6mSlODL8BrOiM_vre\
            MaPCO8U_JGezKUob0ONv7DA7XDfpbaXaFsHipQ",
    },
    Vector {
        algorithm: Algorithm::Ps256,
        jwk: RSA,
        header: "eyJhbGciOiJQUzI1NiJ9",
        payload: CLAIMS,
        signature: "PS0yhu3MNcMlJXo3g8gscHdpTbxIyavsk3T-Fx2NJxvztOBX9Ff7opeAJkF3xI_pt4Xlfpxc5m8G\
            hZX7RRgdCZiBk9sW2hY_PhSbHRbTv8MMTiqSu2xC8XN0zre6Ka2qsHp_IVjYMV36jTqTcB-RDUnT\
            4cpck-Z_znXpdYbKGJ8QVeb4kTZXgz_735wxSrUyfx0k1CQpxxfVPt9ToIqgEtXtvnVClIAt1LYO\
            qsQF8fhKSYB97Z7GIyPQh5NOhQnCMcLQG5Sk3-h1ePRoEs6qx7CPJYqtZi4zLUUIBoCyeaCbvlj7\
            Vz2yE_KwjedqhQ__zYM9DUOuHe6t9dCjgg14CQ",
    },
    Vector {
        algorithm: Algorithm::Ps384,
        jwk: RSA,
        header: "eyJhbGciOiJQUzM4NCJ9",
        payload: CLAIMS,
        signature: "iGPjBwf_HuBJRwkzF5mpOHENp1bGFsmMwgtWWax_ZuTVaDRqiyM-XbfnZ7B90LgYYZN_0zuObUDO\
            TL5TAWEs9VU8B2ioa-nTix41tH75HfXAET4imEKGzu1EHJGpXMU17V6zAfl6XGUcqLMkOvsToiXX\
            DeNI2tLW9JSXyXRMadSwfpKi5Bx25uLXynQYSM27jrjOJqjUFJoVd9_SJyCslMpuwKik6aVhF8C5\
            -o2hRuFnnSqWyu6LHs7ftvKJ9Saw7071M65E5w0w-HjOM3ZmiXdsDxBMC7Pd4ZOx148UEN1CulQ7\
            O0xVP_NqbJAmI52OhBd89PojePhdmK2xsUIfug",
    },
    Vector {
        algorithm: Algorithm::Ps512,
        jwk: RSA,
        header: "eyJhbGciOiJQUzUxMiJ9",
        payload: CLAIMS,
        signature: "oFyaxS4UBAJzD1_7WjrzZIn6yuF9hNYDoZBbmcFW7WhgUVc9g83Kb4RwAuvYY6npzxNpuDri2uq7\
            UANPQXMy52TtKhxY1chCPEHv_mx4Rr3-9b8JkHfYzbkzU0widEiW4EBu7XfUIPwU0iKiZX7lOvTn\
            6Csy184mKam7pNUi5XLp1-ITe7Zc3M2mH4en2cThTUMvG7itk6Q4JmGvv1lBfb-sA6NTTA_o-i2l\
            VcQZ1yxWC5WDJtyJVZ0RLeh5IH3t1wlmbi6OPjY7e0D2Q1ERMatLDvbwGIUaJ9R0tZug282MfeqO\
            aWoaB5x6h4fa1YpgJ_XQtDGzK0eQSC0P6qmS0g",
    },
    Vector {
        algorithm: Algorithm::Es256,
        jwk: P256,
        header: "eyJhbGciOiJFUzI1NiJ9",
        payload: CLAIMS,
        signature: "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqP\
            P3-Kg6NU1Q",
    },
    Vector {
        algorithm: Algorithm::Es384,
        jwk: P384,
        header: "eyJhbGciOiJFUzM4NCJ9",
        payload: CLAIMS,
        signature: "08DEcVjebiPoQaHVYBcbC9rBX9W0Us3fz9iWTEHoskLkPc7-6Zi81jEJUxJ2lhStMPSvfDpZdSmo\
            EPnbX8ZElF-03uCH2XXl3bgzK3lrWQ4ms88jIhyf63uBjbLd0-Bz",
    },
    Vector {
        algorithm: Algorithm::EdDsa,
        jwk: ED25519,
        header: "eyJhbGciOiJFZERTQSJ9",
        payload: "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        signature: "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvp\
            Ar_MuM0KAg",
    },
    Vector {
        algorithm: Algorithm::Hs256,
        jwk: SECRET,
        header: "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
        payload: CLAIMS,
        signature: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    },
    Vector {
        algorithm: Algorithm::Hs384,
        jwk: SECRET,
        header: "eyJhbGciOiJIUzM4NCJ9",
        payload: CLAIMS,
        signature: "oXDrZsBTd6_RlkXLUTQJ0DSfHx5raR4Pq5jlRHf5v0WTm-zt8xcsCvXagNl0J4eM",
    },
    Vector {
        algorithm: Algorithm::Hs512,
        jwk: SECRET,
        header: "eyJhbGciOiJIUzUxMiJ9",
        payload: CLAIMS,
        signature: "CyfHecbVPqPzB3zBwYd3rgVBi2Dgg-eAeX7JT8B85QbKLwSXyll8WKGdehse606szf9G3i-jr24Q\
            GkEtMAGSpg",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_passes() {
        assert_eq!(self_test(), Ok(()));
        assert_eq!(VECTORS.map(|vector| vector.algorithm), Algorithm::ALL);
    }

    #[test]
    fn what_is_wrong_is_found() {
        for mut vector in VECTORS {
            let algorithm = vector.algorithm;
            assert_eq!(
                vector.check(|_, _, _| true),
                Err(SelfTestFault::Changed(algorithm))
            );
            vector.payload = "e30";
            assert_eq!(
                vector.check(Key::verify),
                Err(SelfTestFault::Good(algorithm))
            );
            vector.jwk = "{}";
            assert_eq!(
                vector.check(Key::verify),
                Err(SelfTestFault::Key(algorithm))
            );
        }
    }
}
