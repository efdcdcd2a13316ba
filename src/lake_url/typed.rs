//! Addresses as a person types them on a command line, with keys, options and the short form. Pure.
//!
//! `s3://[USER:PASSWORD@]HOST[:PORT]/BUCKET[/PREFIX][?secure=…:region=…:session=…]`, `s3://BUCKET` for
//! AWS, `file:///FOLDER`, or the path of a folder. What is typed beside the address never reaches a
//! [`LakeUrl`], and no error repeats what may be secret.
//!
//! User and password are percent-decoded; `/` and `+` may stand in them as they are, as secrets of AWS
//! have them. The last `@` before the options ends them. Where an `@` behind the first `/` or `?` could
//! be either, the address is refused: half a secret must not become part of a path.

use std::path::Path;

use percent_encoding::percent_decode_str;

use super::host::{self, Host};
use super::{LakeUrl, ParseUrlError, Scheme};
use crate::access::Keys;

/// An address with what a person typed beside it.
#[derive(Clone, PartialEq, Eq)]
pub struct TypedUrl {
    /// The address.
    pub url: LakeUrl,
    /// The user and the password, with the session token from the options.
    pub keys: Option<Keys>,
    /// The options.
    pub options: Options,
    /// A host that may have been meant as a bucket.
    doubtful: Option<Host>,
}

/// Options of the server that an address may name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether https is used; `None` where nothing says so.
    pub secure: Option<bool>,
    /// The region that requests are signed for.
    pub region: Option<String>,
}

/// What the short form takes from around the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `AWS_REGION` or `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`.
    pub endpoint: Option<Endpoint>,
}

/// A server as the variables of AWS name it: `https://HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The server.
    pub host: Host,
    /// Plain http instead of https.
    pub plain_http: bool,
}

impl Endpoint {
    /// Parses the address of a server; a path in it has no meaning and is passed over.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let plain_http = match &*scheme.to_ascii_lowercase() {
            "https" => false,
            "http" => true,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        Host::parse(authority).ok().map(|host| Self { host, plain_http })
    }
}

impl TypedUrl {
    /// Parses what a person typed; a plain path is relative to `folder`.
    ///
    /// # Errors
    /// Says what is wrong with the address.
    pub fn parse(text: &str, folder: &Path, around: &Surroundings) -> Result<Self, ParseUrlError> {
        let scheme =
            text.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        match scheme.as_ref().map(|(scheme, rest)| (scheme.as_str(), *rest)) {
            Some(("s3", rest)) => Self::parse_bucket(rest, around),
            Some(("http", rest)) => {
                let address = super::as_bucket(rest);
                Err(ParseUrlError::Web(format!("`{address}?secure=false`")))
            }
            _ => Ok(Self {
                url: LakeUrl::from_argument(text, folder)?,
                keys: None,
                options: Options::default(),
                doubtful: None,
            }),
        }
    }

    fn parse_bucket(rest: &str, around: &Surroundings) -> Result<Self, ParseUrlError> {
        let (address, options) = match rest.split_once('?') {
            Some((_, options)) if options.contains('@') => {
                return Err(ParseUrlError::AmbiguousKeys);
            }
            Some((address, options)) => (address, options),
            None => (rest, ""),
        };
        if let Some((_, fragment)) = rest.split_once('#') {
            let is_ambiguous = fragment.contains('@');
            return Err(if is_ambiguous {
                ParseUrlError::AmbiguousKeys
            } else {
                ParseUrlError::Query
            });
        }
        let (keys, address) = split_keys(address)?;
        let (mut options, session) = parse_options(options)?;
        let mut keys = keys.map(parse_keys).transpose()?;
        match (&mut keys, session) {
            (Some(keys), session) => keys.token = session,
            (None, Some(_)) => return Err(ParseUrlError::SessionAlone),
            (None, None) => {}
        }
        let (host, path) = address.split_at(address.find('/').unwrap_or(address.len()));
        let names_bucket = !path.trim_matches('/').is_empty();
        let url = if names_bucket || host.is_empty() {
            LakeUrl::parse(&format!("s3://{address}"))?
        } else {
            short_form(host, &mut options, around)?
        };
        let url = with_bucket_in_path(url);
        let doubtful = url.server().filter(|server| {
            let is_plain = !server.name().contains(['.', '[']) && server.port().is_none();
            names_bucket && is_plain && !server.is_loopback()
        });
        Ok(Self { url, keys, options, doubtful })
    }

    /// Returns what to tell when the server cannot be reached: its name may be that of a bucket.
    pub fn doubt(&self) -> Option<String> {
        let host = self.doubtful.as_ref()?;
        let path = &self.url.0.path;
        Some(format!(
            "`{host}` is taken as a host; for a bucket of AWS write \
             `s3://s3.REGION.amazonaws.com/{host}{path}`"
        ))
    }
}

impl std::fmt::Debug for TypedUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("TypedUrl");
        shown.field("url", &self.url).field("options", &self.options);
        shown.field("has_keys", &self.keys.is_some()).finish_non_exhaustive()
    }
}

/// Returns what of a typed address can be shown: nothing before its last `@`, no options, and nothing
/// behind a colon that is no port.
pub fn without_secrets(typed: &str) -> &str {
    let Some((_, rest)) = typed.split_once("://") else {
        return typed;
    };
    match rest.rsplit_once('@') {
        Some((_, address)) => address.split(['?', '#']).next().unwrap_or_default(),
        None => {
            let address = rest.split(['?', '#']).next().unwrap_or_default();
            let shown = host::without_secret(address).len();
            &typed[..typed.len() - rest.len() + shown]
        }
    }
}

/// Splits `USER:PASSWORD@` off an address without options.
fn split_keys(address: &str) -> Result<(Option<&str>, &str), ParseUrlError> {
    let Some((keys, rest)) = address.rsplit_once('@') else {
        return Ok((None, address));
    };
    let head = address.split('/').next().unwrap_or_default();
    if keys.len() < head.len() || !keys.contains(':') && head.contains('@') {
        return Ok((Some(keys), rest));
    }
    if !keys.contains(':') {
        // Without a password, the path alone can have it.
        return Ok((None, address));
    }
    // A password with `/` in it, unless what stands before the `/` is a server as well.
    let is_server = Host::parse(head).is_ok() || head.contains('@') || !head.contains(':');
    if is_server { Err(ParseUrlError::AmbiguousKeys) } else { Ok((Some(keys), rest)) }
}

fn parse_keys(text: &str) -> Result<Keys, ParseUrlError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    match (user.is_empty(), password.is_empty()) {
        (true, _) => Err(ParseUrlError::HalfKeys("user")),
        (_, true) => Err(ParseUrlError::HalfKeys("password")),
        _ => Ok(Keys { id: decode(user)?, secret: decode(password)?, token: None }),
    }
}

/// Parses what stands behind the `?`; the second is the session token.
fn parse_options(text: &str) -> Result<(Options, Option<String>), ParseUrlError> {
    let (mut options, mut session) = (Options::default(), None);
    for option in text.split([':', '&']).filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = decode(value)?;
        let is_none = value.eq_ignore_ascii_case("none");
        match name {
            "secure" => {
                options.secure = match value.to_ascii_lowercase().as_str() {
                    "true" => Some(true),
                    "false" => Some(false),
                    "none" => None,
                    _ => {
                        let expected = "`true` or `false`";
                        return Err(ParseUrlError::OptionValue { name: "secure", expected });
                    }
                };
            }
            "region" if is_none => options.region = None,
            "region" => {
                if !is_region(&value) {
                    let expected = "a name such as `eu-west-1`";
                    return Err(ParseUrlError::OptionValue { name: "region", expected });
                }
                options.region = Some(value);
            }
            "session" if is_none || value.is_empty() => session = None,
            "session" => session = Some(value),
            name => {
                let is_word = |c: u8| c.is_ascii_lowercase() || matches!(c, b'-' | b'_');
                let shown = name.len() <= 20 && name.bytes().all(is_word);
                return Err(ParseUrlError::UnknownOption(shown.then(|| name.to_owned())));
            }
        }
    }
    Ok((options, session))
}

/// Returns true if a text may name a region; servers choose such names freely.
pub fn is_region(text: &str) -> bool {
    let is_good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(is_good)
}

fn decode(text: &str) -> Result<String, ParseUrlError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| ParseUrlError::Control)?;
    if decoded.chars().any(char::is_control) {
        return Err(ParseUrlError::Control);
    }
    Ok(decoded.into_owned())
}

/// Completes `s3://BUCKET`: a bucket of AWS, or of the server that stands in for it.
fn short_form(
    bucket: &str,
    options: &mut Options,
    around: &Surroundings,
) -> Result<LakeUrl, ParseUrlError> {
    let host = Host::parse(bucket)?;
    let aws = host::aws_endpoint(&host.to_string());
    if let Some(bucket) = aws.as_ref().and_then(|aws| aws.bucket.as_ref()) {
        let rest = host.name().strip_prefix(bucket.as_str()).unwrap_or_default();
        return LakeUrl::parse(&format!("s3://{}/{bucket}", rest.trim_start_matches('.')));
    }
    if host.port().is_some() || host.is_address() || host.is_loopback() || aws.is_some() {
        return LakeUrl::parse(&format!("s3://{host}"));
    }
    if let Some(endpoint) = &around.endpoint {
        if endpoint.plain_http {
            options.secure.get_or_insert(false);
        }
        return LakeUrl::parse(&format!("s3://{}/{bucket}", endpoint.host));
    }
    let region = options.region.as_ref().or(around.region.as_ref());
    let region = region.map_or("us-east-1", String::as_str);
    let end = if region.starts_with("cn-") { ".cn" } else { "" };
    LakeUrl::parse(&format!("s3://s3.{region}.amazonaws.com{end}/{bucket}"))
}

/// Moves a bucket from before AWS' host into the path, so that one form is stored.
fn with_bucket_in_path(url: LakeUrl) -> LakeUrl {
    let endpoint = host::aws_endpoint(url.host());
    let Some(bucket) = endpoint.and_then(|endpoint| endpoint.bucket) else {
        return url;
    };
    debug_assert_eq!(url.scheme(), Scheme::S3);
    let rest = url.host().strip_prefix(&bucket).unwrap_or_default().trim_start_matches('.');
    LakeUrl::parse(&format!("s3://{rest}/{bucket}{}", url.0.path)).unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_with(text: &str, around: &Surroundings) -> Result<TypedUrl, ParseUrlError> {
        TypedUrl::parse(text, Path::new("/work"), around)
    }

    fn parse(text: &str) -> TypedUrl {
        parse_with(text, &Surroundings::default()).expect(text)
    }

    fn refuse(text: &str) -> String {
        parse_with(text, &Surroundings::default()).expect_err(text).to_string()
    }

    #[test]
    fn addresses_without_keys() {
        let table = [
            ("s3://Minio:9000/Data/", "s3://minio:9000/Data"),
            ("s3://minio/datasets", "s3://minio/datasets"),
            ("s3://h/my.bucket", "s3://h/my.bucket"),
            ("s3://h/b/my folder", "s3://h/b/my%20folder"),
            ("s3://h/b/a%2Bb", "s3://h/b/a%2Bb"),
            ("s3://h/b/a+b", "s3://h/b/a%2Bb"),
            ("s3://h/b/a@b", "s3://h/b/a%40b"),
            ("s3://[::1]:9000/b", "s3://[::1]:9000/b"),
            ("S3://h/b?", "s3://h/b"),
            ("s3://bucket", "s3://s3.us-east-1.amazonaws.com/bucket"),
            ("s3://My.Bucket/", "s3://s3.us-east-1.amazonaws.com/My.Bucket"),
            ("s3://b?region=eu-west-1", "s3://s3.eu-west-1.amazonaws.com/b"),
            ("s3://b?region=cn-north-1", "s3://s3.cn-north-1.amazonaws.com.cn/b"),
            ("s3://b.s3.eu-west-1.amazonaws.com", "s3://s3.eu-west-1.amazonaws.com/b"),
            ("s3://b.s3.eu-west-1.amazonaws.com/x", "s3://s3.eu-west-1.amazonaws.com/b/x"),
            ("/mnt/a@b", "file:///mnt/a%40b"),
            ("lake", "file:///work/lake"),
            ("file:///mnt/lake/", "file:///mnt/lake"),
        ];
        for (text, url) in table {
            let typed = parse(text);
            assert_eq!(typed.url.to_string(), url, "{text}");
            assert!(typed.keys.is_none(), "{text}");
        }
    }

    #[test]
    fn keys_and_options() {
        let table = [
            ("s3://AK:SK@h:9000/b", "AK", "SK", "s3://h:9000/b"),
            ("s3://AK:a%2Fb%40c%3Ad@h/b", "AK", "a/b@c:d", "s3://h/b"),
            ("s3://AKIA:se/cr+et/x@h:9000/b/c", "AKIA", "se/cr+et/x", "s3://h:9000/b/c"),
            ("s3://AKIA:/secret@h/b", "AKIA", "/secret", "s3://h/b"),
            ("s3://AK:a:b@h/b", "AK", "a:b", "s3://h/b"),
            ("s3://AK:a@b@h/b", "AK", "a@b", "s3://h/b"),
            ("s3://AK:SK@[::1]:9000/b", "AK", "SK", "s3://[::1]:9000/b"),
            ("s3://AK:S/K@bucket", "AK", "S/K", "s3://s3.us-east-1.amazonaws.com/bucket"),
        ];
        for (text, id, secret, url) in table {
            let typed = parse(text);
            let keys = typed.keys.expect(text);
            assert_eq!((keys.id.as_str(), keys.secret.as_str()), (id, secret), "{text}");
            assert_eq!((keys.token, typed.url.to_string()), (None, url.to_owned()), "{text}");
        }
        let typed = parse("s3://AK:SK@h/b?secure=False:region=eu-west-1&session=a%2Fb+c==");
        let region = Some("eu-west-1".to_owned());
        assert_eq!(typed.options, Options { secure: Some(false), region });
        assert_eq!(typed.keys.and_then(|keys| keys.token).as_deref(), Some("a/b+c=="));
        assert_eq!(parse("s3://h/b?secure=none&region=none:").options, Options::default());
        assert_eq!(parse("s3://h/b?secure=true").options.secure, Some(true));
    }

    #[test]
    fn mistakes_get_their_own_message() {
        let ambiguous = "An `@` here could end a password or belong to the path: write `%40` for one in \
                         the path, and `%2F`, `%3F` or `%23` for a `/`, `?` or `#` in the password";
        let control = "The user, the password or an option holds a control character";
        let long = "The address names no bucket: the long form is `s3://HOST[:PORT]/BUCKET[/PREFIX]`, \
                    for AWS `s3://s3.us-east-1.amazonaws.com/BUCKET`";
        let table = [
            (
                "s3:///bucket",
                "The address names no host: the form is `s3://HOST[:PORT]/BUCKET[/PREFIX]`",
            ),
            (
                "https://Host:9000/bucket/",
                "The address of a bucket begins with `s3://`: write `s3://Host:9000/bucket`",
            ),
            (
                "http://AK:se/cr?et@host/bucket?x=1",
                "The address of a bucket begins with `s3://`: write `s3://host/bucket?secure=false`",
            ),
            ("s3://h:9000", long),
            ("s3://localhost/", long),
            ("s3://10.0.0.1", long),
            ("s3://s3.eu-west-1.amazonaws.com", long),
            ("s3://user@h/b", "Keys are typed as `USER:PASSWORD@`; the password is missing"),
            ("s3://user:@h/b", "Keys are typed as `USER:PASSWORD@`; the password is missing"),
            ("s3://:secret@h/b", "Keys are typed as `USER:PASSWORD@`; the user is missing"),
            ("s3://AK:a%0ab@h/b", control),
            ("s3://A%00K:SECRET@h/b", control),
            ("s3://AK:SECRET@h/b?session=a%0d", control),
            ("s3://h/b?session=x", "The option `session` goes with a user and a password"),
            (
                "s3://h/b?tls=no",
                "An address has the options `secure`, `region` and `session`, and no `tls`",
            ),
            (
                "s3://AK:SECRET@h/b?FwoGSECRETTOKEN",
                "An address has the options `secure`, `region` and `session`, and no other",
            ),
            (
                "s3://h/b?secure=maybe",
                "The option `secure` of an address should be `true` or `false`",
            ),
            (
                "s3://h/b?region=a/b",
                "The option `region` of an address should be a name such as `eu-west-1`",
            ),
            ("s3://h:9000/b/a:SECRET@c", ambiguous),
            ("s3://AK:12/34SECRET@h/b", ambiguous),
            ("s3://AK:SE@CRET/SECRET@h/b", ambiguous),
            ("s3://AK:a?SECRET@h/b", ambiguous),
            ("s3://AK:a#SECRET@h/b", ambiguous),
            ("s3://h/b#c", "An address that is stored holds no `?options` and no `#fragment`"),
            ("s3://AK:SECRET", "`ak` is not a host name with an optional port"),
            ("s3://AK:SECRET/x", "`ak` is not a host name with an optional port"),
            (
                "s3://AK:SECRET@169.254.169.254/b",
                "`169.254.169.254` is a link-local or metadata address, which git-lake never asks",
            ),
            ("s3://h/a/../b", "The path holds `..` or a control character"),
            (
                "file://u:SECRET@h/b",
                "A folder's address names no host (`h`): write `file:///` and the path",
            ),
        ];
        for (text, message) in table {
            let said = refuse(text);
            if text.starts_with("file") {
                assert!(!said.contains("SECRET"), "{said}");
                continue;
            }
            assert_eq!(said, message, "{text}");
            assert!(!without_secrets(text).to_lowercase().contains("secret"), "{text}");
        }
    }

    #[test]
    fn the_short_form_takes_region_and_server_from_around() {
        let mut around = Surroundings { region: Some("eu-west-1".into()), endpoint: None };
        let url = |text: &str, around: &Surroundings| {
            let typed = parse_with(text, around).expect(text);
            (typed.url.to_string(), typed.options.secure)
        };
        assert_eq!(url("s3://b", &around).0, "s3://s3.eu-west-1.amazonaws.com/b");
        assert_eq!(url("s3://b?region=us-west-2", &around).0, "s3://s3.us-west-2.amazonaws.com/b");
        around.endpoint = Endpoint::parse("http://Minio.local:9000/");
        assert_eq!(url("s3://b", &around), ("s3://minio.local:9000/b".into(), Some(false)));
        assert_eq!(url("s3://h/b", &around), ("s3://h/b".into(), None));
        around.endpoint = Endpoint::parse("https://minio.local");
        assert_eq!(url("s3://b", &around), ("s3://minio.local/b".into(), None));
        for text in ["minio.local", "ftp://h", "http://", "https://169.254.169.254"] {
            assert_eq!(Endpoint::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_that_may_be_a_bucket_is_doubted() {
        let doubt = |text| parse(text).doubt();
        assert_eq!(
            doubt("s3://AK:SECRET@bucket/pre/fix").as_deref(),
            Some(
                "`bucket` is taken as a host; for a bucket of AWS write \
                 `s3://s3.REGION.amazonaws.com/bucket/pre/fix`"
            )
        );
        for text in
            ["s3://bucket", "s3://h:9000/b", "s3://h.org/b", "s3://localhost/b", "s3://[::2]/b"]
        {
            assert_eq!(doubt(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_shown_holds_a_secret() {
        let typed = parse("s3://AKIA:SECRET@h/b?session=TOKEN");
        let shown = format!("{typed:?} {}", typed.url);
        assert!(!shown.contains("SECRET") && !shown.contains("TOKEN"), "{shown}");
        let table = [
            ("s3://AK:S@h/b?session=T", "h/b"),
            ("s3://h:9000/b?x", "s3://h:9000/b"),
            ("s3://AK:SECRET/x", "s3://AK"),
            ("/mnt/a@b", "/mnt/a@b"),
        ];
        for (text, shown) in table {
            assert_eq!(without_secrets(text), shown);
        }
    }
}
