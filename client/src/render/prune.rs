//! What `wharf prune` would remove.

use super::{Style, bytes, table::table};
use wharf_proto::operate::{DockerPrunePlan, UnneededImage};

/// How much of an identity tells an image from all others.
const ID_DIGITS: usize = 12;

/// What goes, and how much room that makes.
pub fn docker_prune_plan(plan: &DockerPrunePlan, style: &Style) -> String {
    let mut rows: Vec<Vec<String>> = plan.images.iter().map(row).collect();
    let beyond = plan.cache_bytes.saturating_sub(plan.keep_cache_bytes);
    if beyond > 0 {
        let keep = bytes(plan.keep_cache_bytes);
        rows.push(vec!["build cache".to_owned(), bytes(beyond), format!("more than {keep} of it")]);
    }
    if rows.is_empty() {
        return format!(
            "nothing: every image is needed, and {} of build cache may stay\n",
            bytes(plan.cache_bytes)
        );
    }
    table(&["WHAT", "SIZE", "WHY"], &rows, style)
        + &format!("about {} would be free\n", bytes(plan.frees_bytes()))
}

fn row(image: &UnneededImage) -> Vec<String> {
    let digits = image.id.trim_start_matches("sha256:").chars().take(ID_DIGITS);
    let what = image.name.clone().unwrap_or_else(|| digits.collect());
    vec![what, bytes(image.size_bytes), image.why.clone()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_and_what_it_frees() {
        let image = |name: Option<&str>, size_bytes, why: &str| UnneededImage {
            id: "sha256:0123456789abcdef".into(),
            name: name.map(str::to_owned),
            size_bytes,
            why: why.into(),
        };
        let plan = DockerPrunePlan {
            images: vec![
                image(Some("shop-web:v1"), 12_300_000, "v1 is no longer listed"),
                image(None, 4_000_000, "no name leads to it"),
            ],
            cache_bytes: 3_500_000_000,
            keep_cache_bytes: 2 << 30,
        };
        insta::assert_snapshot!(docker_prune_plan(&plan, &Style::plain()), @"
        WHAT          SIZE     WHY
        shop-web:v1   12.3 MB  v1 is no longer listed
        0123456789ab  4.0 MB   no name leads to it
        build cache   1.4 GB   more than 2.1 GB of it
        about 1.4 GB would be free
        ");
        let nothing = DockerPrunePlan { images: vec![], cache_bytes: 9_000, ..plan };
        insta::assert_snapshot!(docker_prune_plan(&nothing, &Style::plain()), @"nothing: every image is needed, and 9.0 kB of build cache may stay");
    }
}
