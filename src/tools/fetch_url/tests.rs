//! The pure parts of `fetch_url`.

use super::redirect::redirected;
use super::{html, is_text, parse_content_type};
use crate::http::Url;

#[test]
fn redirects_lead_where_a_browser_goes() {
    let check = |from: &str, location: &str, expected: &str| {
        let url = redirected(&Url::parse(from).unwrap(), location).unwrap();
        assert_eq!(url, Url::parse(expected).unwrap(), "{from} + {location}");
    };
    let page = "https://a.example:8443/docs/one?q=1";
    check(page, "http://b.example/x", "http://b.example/x");
    check(page, "//b.example/x", "https://b.example/x");
    check(page, "/x?y=http://z", "https://a.example:8443/x?y=http://z");
    check(page, "two", "https://a.example:8443/docs/two");
    check(page, "../../../two#part", "https://a.example:8443/two");
    check(
        page,
        "./two/?q=../x",
        "https://a.example:8443/docs/two/?q=../x",
    );
    check(page, "?q=2", "https://a.example:8443/docs/one?q=2");
    check("http://a.example", "x", "http://a.example/x");
    for refused in [
        "ftp://b.example/",
        "file:///etc/passwd",
        "http://user@b.example/",
    ] {
        assert!(
            redirected(&Url::parse(page).unwrap(), refused).is_err(),
            "{refused}"
        );
    }
}

#[test]
fn html_is_given_as_its_visible_text() {
    let check = |html: &str, expected: &str| assert_eq!(html::text(html), expected, "{html}");
    check("", "");
    check("plain", "plain\n");
    check(
        "<html><head><title>T &amp; U</title><style>p{}</style></head><body><h1>One</h1><p>two\n  three</p>\
         <script>if (a < b) { x('</p>') }</script><ul><li>a<li><a href='/x?a=1&amp;b=2'>b</a></ul></body></html>",
        "T & U\nOne\ntwo three\n- a\n- b (/x?a=1&b=2)\n",
    );
    check("a<!-- <p>hidden</p> -->b", "ab\n");
    check(
        "1 < 2 &lt; 3 &unknown; &#65;&#x42;",
        "1 < 2 < 3 &unknown; AB\n",
    );
    check("<SCRIPT>x</SCRIPT >y", "y\n");
    check("<script>never ends", "");
    check("<p", "<p\n");
    check("<a href=\"#top\">up</a> <a href=x>on</a>", "up on (x)\n");
}

#[test]
fn types_that_are_text_are_known() {
    for text in [
        "text/html",
        "text/x-rust",
        "application/json",
        "application/ld+json",
        "application/xml",
    ] {
        assert!(is_text(text), "{text}");
    }
    for other in [
        "image/png",
        "application/octet-stream",
        "application/pdf",
        "video/mp4",
        "",
    ] {
        assert!(!is_text(other), "{other}");
    }
    assert_eq!(
        parse_content_type("Text/HTML; Charset=\"UTF-8\""),
        ("text/html".to_owned(), "utf-8".to_owned())
    );
}
