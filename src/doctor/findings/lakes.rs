//! The lakes that the settings or pointers name, and their keys.

use std::time::Duration;

use crate::access::Withheld;
use crate::access::quoted;
use crate::doctor::Finding;
use crate::doctor::facts::Lakes;
use crate::doctor::facts::lakes::{Lake, Server};

/// Small objects that should come in a second from a lake that is far away.
const WANTED_PER_SECOND: f64 = 320.0;
/// Transfers at once that are found out to pay without being told.
const USUAL_JOBS: usize = 32;
/// Numbers that are suggested are multiples of this.
const JOBS_STEP: usize = 16;
const MOST_JOBS: usize = 128;

pub(super) fn decide(lakes: &Lakes) -> Vec<Finding> {
    let mut findings: Vec<Finding> = lakes.servers.iter().map(keys).collect();
    for lake in &lakes.lakes {
        findings.extend(one(lake));
    }
    findings.extend(jobs(lakes));
    if lakes.lakes.is_empty() {
        let text = "No lake is named: content stays in this clone";
        findings.push(Finding::problem("no-lake", text).mended_by("git lake init URL"));
    }
    findings
}

fn one(lake: &Lake) -> Vec<Finding> {
    let url = &lake.url;
    let named = match &lake.name {
        Some(name) => format!("The remote `{name}` (`{url}`)"),
        None => format!("The lake `{url}`, which only pointers name,"),
    };
    let mut findings = vec![match (&lake.measured, &lake.name) {
        (Ok(measured), _) if measured.declaration.assumed.is_some() => {
            Finding::note("lake", format!("{named} was {}", measured.words()))
        }
        (Ok(measured), _) => Finding::ok("lake", format!("{named} was {}", measured.words())),
        (Err(why), Some(_)) => Finding::problem("lake-unreachable", format!("{named}: {why}"))
            .mended_by("git lake remote-list --check"),
        (Err(why), None) => Finding::note("lake-unreachable", format!("{named} is no use: {why}")),
    }];
    if lake.waits_for_consent {
        let text = format!("{named} gets no uploads, since this clone has not accepted it");
        let remedy = format!("git lake trust {url}");
        findings.push(Finding::note("not-accepted", text).mended_by(remedy));
    }
    let shares = match lake.shares_blocks {
        Some(true) => {
            Some("shares blocks with the store: what is copied takes no time and no room")
        }
        Some(false) => Some("cannot share blocks with the store: what is fetched is copied"),
        None => None,
    };
    findings.extend(shares.map(|words| Finding::ok("lake-blocks", format!("{named} {words}"))));
    findings
}

fn keys(server: &Server) -> Finding {
    let Server { host, sources, has_keys, looked_at, withheld } = server;
    let list = sources.join(", else ");
    if !sources.is_empty() {
        let come = if *has_keys { "come" } else { "may come" };
        return Finding::ok("keys", format!("Keys for `{host}` {come} from {list}"));
    }
    let argument = quoted(host);
    match withheld {
        Some(Withheld::Untrusted) => {
            let text = format!("`{host}` is asked without keys: it is not trusted with yours");
            Finding::note("keys-withheld", text).mended_by(format!("git lake trust {argument}"))
        }
        Some(Withheld::PlainHttp) => {
            let text = format!(
                "`{host}` is asked without keys: only the settings of the repository say that it speaks \
                 plain http"
            );
            let remedy = format!("git lake trust --insecure-http {argument}");
            Finding::note("keys-withheld", text).mended_by(remedy)
        }
        None => {
            let places = looked_at.join(", ");
            let text = format!("`{host}` is asked without keys: there are none in {places}");
            Finding::note("no-keys", text)
        }
    }
}

/// Suggests `lake.jobs` where the way to a bucket is long, and more than usual would be under way.
fn jobs(lakes: &Lakes) -> Option<Finding> {
    let far = lakes.lakes.iter().filter(|lake| lake.url.server().is_some());
    let far = far.filter_map(|lake| Some((lake, lake.measured.as_ref().ok()?.round_trip)));
    let (lake, round_trip) = far.max_by_key(|(_, round_trip)| *round_trip)?;
    let suggested = suggested_jobs(round_trip, lakes.jobs)?;
    let text = format!(
        "`{}` is {:.0} ms away: small objects would come faster with more transfers at once",
        lake.url,
        round_trip.as_secs_f64() * 1000.0
    );
    Some(Finding::note("jobs", text).mended_by(format!("git config lake.jobs {suggested}")))
}

/// Returns how many transfers at once are worth it, if more than there are.
fn suggested_jobs(round_trip: Duration, configured: Option<usize>) -> Option<usize> {
    let wanted = (round_trip.as_secs_f64() * WANTED_PER_SECOND).ceil() as usize;
    let suggested = wanted.div_ceil(JOBS_STEP).saturating_mul(JOBS_STEP).min(MOST_JOBS);
    (suggested > configured.unwrap_or(USUAL_JOBS)).then_some(suggested)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_jobs_are_suggested_only_for_a_long_way() {
        let ask = |ms, configured| suggested_jobs(Duration::from_millis(ms), configured);
        assert_eq!(ask(1, None), None);
        assert_eq!(ask(100, None), None);
        assert_eq!(ask(101, None), Some(48));
        assert_eq!(ask(250, None), Some(80));
        assert_eq!(ask(5000, None), Some(128));
        assert_eq!(ask(250, Some(80)), None);
        assert_eq!(ask(20, Some(4)), Some(16));
        assert_eq!(ask(5000, Some(256)), None);
    }
}
