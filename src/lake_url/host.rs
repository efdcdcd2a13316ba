//! The server of a bucket: its name and port, and what the name says about it. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ParseUrlError;

/// A server: its name or address, and a port where one is named.
///
/// Displayed in normal form, `name[:port]`: lower case, addresses of IPv6 shortened and in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    name: Box<str>,
    port: Option<u16>,
}

impl Host {
    /// Parses `name[:port]`.
    ///
    /// # Errors
    /// If it is none, or is a link-local or metadata address: what is asked there gives away the
    /// machine's role, and no lake is there.
    pub fn parse(text: &str) -> Result<Self, ParseUrlError> {
        let lower = text.to_ascii_lowercase();
        let wrong = || ParseUrlError::Host(without_secret(&lower).to_owned());
        let (name, port) = match lower.strip_prefix('[') {
            Some(rest) => {
                let (inner, port) = rest.split_once(']').ok_or_else(wrong)?;
                let address: Ipv6Addr = inner.parse().map_err(|_| wrong())?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or_else(wrong)?),
                };
                (format!("[{address}]"), port)
            }
            None => match lower.split_once(':') {
                Some((name, port)) => (name.to_owned(), Some(port)),
                None => (lower.clone(), None),
            },
        };
        let port = port.map(|port| parse_port(port).ok_or_else(wrong)).transpose()?;
        if !name.starts_with('[') && !is_name(&name) {
            return Err(wrong());
        }
        let host = Self { name: name.into(), port };
        if host.is_forbidden() {
            return Err(ParseUrlError::Forbidden(host.to_string()));
        }
        Ok(host)
    }

    /// Returns the name or address without the port, in brackets for IPv6.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the port, where one is named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the port that is connected to.
    pub fn effective_port(&self, plain_http: bool) -> u16 {
        self.port.unwrap_or(if plain_http { 80 } else { 443 })
    }

    /// Returns true if both name the same port of the same server when both speak http or https.
    pub fn is_same(&self, other: &Self, plain_http: bool) -> bool {
        self.name == other.name
            && self.effective_port(plain_http) == other.effective_port(plain_http)
    }

    /// Returns true for `localhost` and loopback addresses: what is sent stays on this machine.
    ///
    /// An address of IPv6 that a translator turns into one of IPv4 is none: the translator is elsewhere.
    pub fn is_loopback(&self) -> bool {
        match self.address() {
            Some(IpAddr::V4(address)) => address.is_loopback(),
            Some(IpAddr::V6(address)) => {
                let mapped = address.to_ipv4_mapped();
                mapped.map_or(address.is_loopback(), |mapped| mapped.is_loopback())
            }
            None => &*self.name == "localhost",
        }
    }

    /// Returns true if the server is named by an address.
    pub fn is_address(&self) -> bool {
        self.address().is_some()
    }

    /// Returns the address that the name is.
    fn address(&self) -> Option<IpAddr> {
        match self.name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            Some(inner) => inner.parse().ok().map(IpAddr::V6),
            None => self.name.trim_end_matches('.').parse().ok().map(IpAddr::V4),
        }
    }

    fn is_forbidden(&self) -> bool {
        self.address().map_or_else(
            || self.name.trim_end_matches('.') == "metadata.google.internal",
            is_forbidden,
        )
    }
}

/// Returns true for link-local and metadata addresses, and for those that are none, in every spelling:
/// no bucket is there, but a cloud's secrets may be.
pub fn is_forbidden(address: IpAddr) -> bool {
    const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
    match address {
        IpAddr::V4(address) => {
            address.is_link_local() || address.octets()[0] == 0 || address == ALIBABA
        }
        IpAddr::V6(address) => {
            let segments = address.segments();
            // `fd00:ec2::/32` is where Amazon's metadata and pod identities are asked.
            address.is_unspecified()
                || segments[0] & 0xffc0 == 0xfe80
                || segments[..2] == [0xfd00, 0x0ec2]
                || embedded(address).is_some_and(|inner| is_forbidden(IpAddr::V4(inner)))
        }
    }
}

/// Returns the address of IPv4 that one of IPv6 stands for.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match address.segments() {
        // `::ffff:a.b.c.d`, and what stands for IPv4 behind NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => of(high, low),
        // `::a.b.c.d`, but not `::` and `::1`.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => of(high, low),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => of(high, low),
        _ => None,
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn parse_port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|c| c.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

fn is_name(name: &str) -> bool {
    let is_good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
    // Resolvers take `2852039166`, `0xa9.0xfe.1` and `0251.0376.1.1` for addresses of IPv4. Only the
    // usual spelling is one here, so that none is in disguise.
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|c| c.is_ascii_digit()) || last.starts_with("0x");
    let is_address = || name.trim_end_matches('.').parse::<Ipv4Addr>().is_ok();
    !name.is_empty()
        && !name.starts_with(['-', '.'])
        && name.bytes().all(is_good)
        && (!is_number || is_address())
}

/// Returns a host to be shown: where something else than a port follows the colon, which may be a
/// password, only what stands before it.
pub(super) fn without_secret(host: &str) -> &str {
    if host.starts_with('[') {
        return host.split_once(']').map_or("[", |(address, _)| address);
    }
    let (authority, _) = host.split_at(host.find('/').unwrap_or(host.len()));
    match authority.split_once(':') {
        Some((name, port)) if !port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Returns what stands for the bucket in a message about an address without one.
pub(super) fn bucket_to_show(host: &str) -> String {
    let is_bucket = |host: &Host| {
        host.port.is_none() && !host.is_address() && aws_endpoint(&host.to_string()).is_none()
    };
    let named = Host::parse(host).ok().filter(|host| is_bucket(host) && !host.is_loopback());
    named.map_or_else(|| "BUCKET".to_owned(), |host| host.to_string())
}

/// One of S3's own names at AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsEndpoint {
    /// The region that the name tells.
    pub region: Option<String>,
    /// The bucket that stands before the name.
    pub bucket: Option<String>,
}

/// Recognises the names that AWS itself serves S3 at: `s3.amazonaws.com`, `s3.<region>.…`,
/// `s3-<region>.…`, `s3.dualstack.<region>.…`, each also with `<bucket>.` before it and with `.cn`
/// behind it; without a port, or with 443.
///
/// Other hosts below `amazonaws.com` are servers that anybody can rent, and are none.
pub fn aws_endpoint(host: &str) -> Option<AwsEndpoint> {
    let name = host.strip_suffix(":443").unwrap_or(host);
    let name = name.strip_suffix(".cn").unwrap_or(name).strip_suffix(".amazonaws.com")?;
    let labels: Vec<&str> = name.split('.').collect();
    let (before, region) = match &labels[..] {
        [before @ .., "s3", "dualstack", region] | [before @ .., "s3", region]
            if is_region(region) =>
        {
            (before, Some(*region))
        }
        [before @ .., "s3"] => (before, None),
        [before @ .., last] => {
            let region = last.strip_prefix("s3-").filter(|region| is_region(region))?;
            (before, Some(region))
        }
        [] => return None,
    };
    let is_label = |label: &&str| {
        !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
    };
    before.iter().all(is_label).then(|| AwsEndpoint {
        region: region.map(str::to_owned),
        bucket: (!before.is_empty()).then(|| before.join(".")),
    })
}

/// `us-east-1`, `us-gov-west-1`; not `website-us-east-1`, `external-1` or `fips`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_lowercase());
    match &parts[..] {
        [area, words @ .., number] if !words.is_empty() => {
            area.len() == 2
                && is_word(area)
                && words.iter().all(is_word)
                && (1..=2).contains(&number.len())
                && number.bytes().all(|c| c.is_ascii_digit())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_one_normal_form() {
        let table = [
            ("Minio.Example.com:9000", "minio.example.com:9000"),
            ("localhost", "localhost"),
            ("[0:0:0:0:0:0:0:1]:9000", "[::1]:9000"),
            ("[2001:DB8::A]", "[2001:db8::a]"),
            ("10.0.0.7:80", "10.0.0.7:80"),
            ("my_host", "my_host"),
        ];
        for (text, normal) in table {
            assert_eq!(Host::parse(text).expect(text).to_string(), normal);
        }
        let wrong = [
            "",
            "-x",
            ".x",
            "a b",
            "h:",
            "h:0",
            "h:080",
            "h:+1",
            "h:99999",
            "[::1",
            "[::1]9000",
            "[",
            "[h",
            "[\nhost=evil",
            "[-o",
            "[::1]\n",
            "[::g]",
            "::1",
            "2852039166",
            "0xa9fea9fe",
            "169.254.43518",
            "0251.0376.0251.0376",
            "1.2.3.4.5",
            "h:secret",
        ];
        for text in wrong {
            let error = Host::parse(text).expect_err(text);
            assert!(matches!(error, ParseUrlError::Host(_)), "{text}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn metadata_and_link_local_addresses_are_refused() {
        let refused = [
            "169.254.169.254",
            "169.254.0.1:80",
            "169.254.169.254.",
            "100.100.100.200",
            "0.0.0.0:9000",
            "[::]:9000",
            "[fe80::1]",
            "[febf::1]",
            "[fd00:ec2::254]",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]:80",
            "[::169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:a9fe:a9fe::1]",
            "[::ffff:0.0.0.0]",
            "Metadata.Google.Internal",
            "metadata.google.internal.:80",
        ];
        for text in refused {
            let error = Host::parse(text).expect_err(text);
            assert!(matches!(error, ParseUrlError::Forbidden(_)), "{text}: {error}");
        }
        for text in ["100.100.100.201", "169.253.0.1", "[fec0::1]", "[fd00:ec1::1]"] {
            Host::parse(text).expect(text);
        }
        assert_eq!(
            Host::parse("169.254.169.254:80").expect_err("refused").to_string(),
            "`169.254.169.254:80` is a link-local or metadata address, which git-lake never asks"
        );
    }

    #[test]
    fn loopback_is_known_in_all_its_spellings() {
        for text in ["localhost:9000", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::ffff:127.0.0.1]:9"]
        {
            assert!(Host::parse(text).expect(text).is_loopback(), "{text}");
        }
        for text in
            ["localhost.example.com", "128.0.0.1", "x.localhost", "[::2]", "127.0.0.1.nip.io"]
        {
            assert!(!Host::parse(text).expect(text).is_loopback(), "{text}");
        }
        // Others answer at these, whom nobody trusts with keys.
        for text in ["[64:ff9b::7f00:1]", "[::127.0.0.1]", "[2002:7f00:1::]"] {
            assert!(!Host::parse(text).expect(text).is_loopback(), "{text}");
        }
    }

    #[test]
    fn a_port_that_is_not_named_is_that_of_the_protocol() {
        let host = |text| Host::parse(text).expect(text);
        assert!(host("h").is_same(&host("h:443"), false));
        assert!(!host("h").is_same(&host("h:443"), true));
        assert!(host("h").is_same(&host("h:80"), true));
        assert!(!host("h").is_same(&host("h:9000"), false));
        assert!(!host("h").is_same(&host("g"), false));
    }

    #[test]
    fn only_s3s_own_names_at_aws_are_aws() {
        let east = Some("us-east-1");
        let table = [
            ("s3.amazonaws.com", None, None),
            ("s3.amazonaws.com:443", None, None),
            ("s3.us-east-1.amazonaws.com", east, None),
            ("s3-us-east-1.amazonaws.com", east, None),
            ("s3.dualstack.us-east-1.amazonaws.com", east, None),
            ("s3.us-gov-west-1.amazonaws.com", Some("us-gov-west-1"), None),
            ("s3.cn-north-1.amazonaws.com.cn", Some("cn-north-1"), None),
            ("data.s3.amazonaws.com", None, Some("data")),
            ("my.data.s3.us-east-1.amazonaws.com", east, Some("my.data")),
            ("data.s3-us-east-1.amazonaws.com", east, Some("data")),
            ("data.s3.dualstack.us-east-1.amazonaws.com", east, Some("data")),
        ];
        for (host, region, bucket) in table {
            let found = aws_endpoint(host).expect(host);
            assert_eq!(
                (found.region.as_deref(), found.bucket.as_deref()),
                (region, bucket),
                "{host}"
            );
        }
        let others = [
            "amazonaws.com",
            "evil.amazonaws.com",
            "ec2-1-2-3-4.compute-1.amazonaws.com",
            "x.execute-api.us-east-1.amazonaws.com",
            "x.elb.us-east-1.amazonaws.com",
            "s3.evil.amazonaws.com",
            "s3-website-us-east-1.amazonaws.com",
            "data.s3-website.us-east-1.amazonaws.com",
            "data.s3-website-us-east-1.amazonaws.com",
            "s3.us-east-1.vpce.amazonaws.com",
            "s3.us-east-1.amazonaws.com:9000",
            "s3.us-east-1.amazonaws.com:80",
            "s3.us-east-1.amazonaws.com.evil.org",
            "s3.us-east-1.amazonaws.com.",
            "s3.us-east-1.amazonaws.evil.org",
            "evils3.amazonaws.com",
            "s3.us-east-1amazonaws.com",
            ".s3.amazonaws.com",
            "a..s3.amazonaws.com",
        ];
        for host in others {
            assert_eq!(aws_endpoint(host), None, "{host}");
        }
    }
}
