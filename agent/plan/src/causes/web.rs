//! Pages that answer something else than they should.

use super::{Evidence, Page};

const NOT_FOUND: u16 = 404;

pub(super) fn deep_link(evidence: &Evidence) -> Option<(String, String)> {
    let lost = |page: &&Page| page.status == NOT_FOUND && page.start_page == Some(200) && !has_twin(page);
    let page = evidence.pages.iter().filter(lost).find(|page| page.nginx_without_try_files.is_some())?;
    let service = page.nginx_without_try_files.as_deref()?;
    Some((
        format!(
            "the start page answers and {} is 404: the nginx of {service} looks for a file of that name, since it has no try_files",
            page.url
        ),
        format!("in the nginx configuration of {service}, in location /: try_files $uri $uri/ /index.html;"),
    ))
}

pub(super) fn trailing_slash(evidence: &Evidence) -> Option<(String, String)> {
    let page = evidence.pages.iter().find(|page| has_twin(page) || leads_to_twin(page))?;
    let (twin, status) = page.twin.as_ref()?;
    Some((
        format!(
            "{} answers {} and {twin} answers {status}: they differ by the slash at the end",
            page.url, page.status
        ),
        format!("ask for {twin} in [[health]] and in the front end, or have the app accept both"),
    ))
}

/// Whether a slash more or less makes the page answer as it should.
fn has_twin(page: &Page) -> bool {
    let elsewhere = page.status == NOT_FOUND || matches!(page.status, 301 | 302 | 307 | 308);
    elsewhere && page.twin.as_ref().is_some_and(|(_, status)| *status == page.wanted)
}

/// Whether the answer is a redirect to the same address with a slash more or less.
fn leads_to_twin(page: &Page) -> bool {
    let redirects = matches!(page.status, 301 | 302 | 307 | 308);
    let same = |location: &str, twin: &str| {
        location == twin || (location.starts_with('/') && twin.ends_with(location))
    };
    match (&page.location, &page.twin) {
        (Some(location), Some((twin, status))) => redirects && *status < 400 && same(location, twin),
        _ => false,
    }
}
