//! A listing as a server serves it: it ends, and all that is taken from it are names and sizes.

use std::sync::{Arc, LazyLock, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use git_lake::access::Access;
use git_lake::lake::s3::{S3Lake, Server};
use git_lake::lake::{AdminLake as _, Found, LakeError, ObjectInfo, ReadLake as _};
use git_lake::lake_url::LakeUrl;
use git_lake::object_name::ObjectName;

/// The first byte says which of the two readers of listings is asked; the others are every page.
pub(super) fn check(bytes: &[u8]) {
    static SERVED: LazyLock<Served> = LazyLock::new(Served::start);
    let Some((kind, body)) = bytes.split_first() else { return };
    *SERVED.answer.0.lock().expect("no holder panics") = body.to_vec();
    let lake = S3Lake::new(SERVED.url.clone(), &SERVED.url, SERVED.server.clone());
    let lake = lake.expect("a bucket");
    let mut count = 0;
    let mut look = |name: Option<&ObjectName>, size: u64| {
        assert!(name.is_none_or(|name| !name.as_str().contains('/')));
        assert!(i64::try_from(size).is_ok());
        count += 1;
    };
    let errors: Vec<LakeError> = match kind % 2 {
        0 => {
            let found = lake.survey().into_iter().flatten();
            let mut seen = |found| match found {
                Found::Object(name, info) => look(Some(&name), info.size),
                Found::Foreign(info) => look(None, info.size),
            };
            found.filter_map(|found| found.map(&mut seen).err()).collect()
        }
        _ => {
            let found = lake.list().into_iter().flatten();
            let mut seen = |(name, info): (ObjectName, ObjectInfo)| look(Some(&name), info.size);
            found.filter_map(|found| found.map(&mut seen).err()).collect()
        }
    };
    assert!(errors.len() <= 1, "nothing comes after an error");
    for error in &errors {
        assert!(!error.to_string().contains('\x1b'));
    }
    // The second page is the first again.
    assert!(count <= 2 * body.len(), "a listing ends");
}

/// A server that gives one answer to all.
struct Served {
    answer: Answer,
    url: LakeUrl,
    server: Server,
}

/// A body.
#[derive(Clone, Debug, Default)]
struct Answer(Arc<Mutex<Vec<u8>>>);

impl Served {
    fn start() -> Self {
        let answer = Answer::default();
        let connector = SharedHttpConnector::new(answer.clone());
        let client = http_client_fn(move |_, _| connector.clone());
        let url = LakeUrl::parse("s3://lakes.example/b/lake").expect("an address");
        let server = Server::answered_by(&url, Access::default(), client);
        Self { answer, url, server }
    }
}

impl HttpConnector for Answer {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let body = self.0.lock().expect("no holder panics").clone();
        let status = 200.try_into().expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
    }
}
