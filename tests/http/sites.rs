//! What a page of another site makes a browser send: refused by every route there is, and by those there are not.

use reqwest::{Method, RequestBuilder};

use crate::gate::path_of;
use crate::stage::{Stage, TOKENS, problem};

/// The headers by which a browser says that another site has made a request.
const FOREIGN: [&[(&str, &str)]; 8] = [
    &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
    &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
    &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
    &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
    &[("sec-fetch-site", "cross-site")],
    &[("origin", "http://evil.example")],
    &[("origin", "null")],
    &[("referer", "http://evil.example/")],
];

fn with(request: RequestBuilder, headers: &[(&str, &str)]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

#[tokio::test]
async fn every_route_of_the_interface_refuses_what_another_site_has_made() {
    for (http, role) in [("", ""), (TOKENS, "admin")] {
        let stage = Stage::start(http, "").await;
        let description = stage.json("/openapi.json").await;
        let mut routes = vec![(Method::GET, "/openapi.json".to_owned()), (Method::GET, "/nowhere".to_owned())];
        for (template, operations) in description["paths"].as_object().expect("paths") {
            for method in operations.as_object().expect("operations").keys() {
                routes.push((method.to_uppercase().parse().expect("a method"), path_of(template)));
            }
        }
        assert!(routes.len() > 13, "{routes:?}");
        for (method, path) in &routes {
            for headers in FOREIGN {
                // Where tokens are needed, an old browser has none to send.
                if headers[0].0 == "referer" && role == "admin" {
                    continue;
                }
                let mut methods = vec![method.clone(), Method::OPTIONS];
                methods.extend((method == Method::GET).then_some(Method::HEAD));
                for method in methods {
                    let answer = with(stage.request(method.clone(), path, role), headers).send().await;
                    let answer = answer.expect("answers");
                    assert_eq!(answer.status(), 403, "{method} {path} {headers:?}");
                    assert!(answer.headers().get("access-control-allow-origin").is_none(), "{path}");
                    if method == Method::GET {
                        problem(answer, 403).await;
                    }
                }
            }
            let own = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")];
            let answer = with(stage.request(method.clone(), path, role), &own).send().await.expect("answers");
            assert_ne!(answer.status(), 403, "{method} {path}");
        }
    }
}
