//! Laying an environment over the base: tables merge, everything else replaces.

use super::here;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The names of the environments, in the file's alphabetical order.
pub(super) fn names(root: &DeTable<'_>) -> Vec<String> {
    let environments = root.get("env").and_then(|env| env.get_ref().as_table());
    environments.into_iter().flat_map(|env| env.keys()).map(|name| name.get_ref().to_string()).collect()
}

/// `root` without its environments, with `environment` laid over it; `None` where there is none of that name.
pub(super) fn apply<'i>(mut root: DeTable<'i>, environment: Option<&str>) -> Option<DeTable<'i>> {
    let environments = root.remove("env").map(Spanned::into_inner);
    let Some(name) = environment else { return Some(root) };
    if name == here::ENVIRONMENT {
        // The server of the base is another machine.
        root.remove("server");
    }
    let Some(overlay) = overlay(environments, name) else {
        return (name == here::ENVIRONMENT).then_some(root);
    };
    merge(&mut root, overlay);
    Some(root)
}

fn overlay<'i>(environments: Option<DeValue<'i>>, name: &str) -> Option<DeTable<'i>> {
    let DeValue::Table(mut environments) = environments? else { return None };
    let DeValue::Table(overlay) = environments.remove(name)?.into_inner() else { return None };
    Some(overlay)
}

fn merge<'i>(base: &mut DeTable<'i>, overlay: DeTable<'i>) {
    for (key, value) in overlay {
        match (base.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value.into_parts()) {
            (Some(DeValue::Table(below)), (_, DeValue::Table(above))) => merge(below, above),
            (_, (span, value)) => {
                base.remove(key.get_ref().as_ref());
                base.insert(key, Spanned::new(span, value));
            }
        }
    }
}

/// A spanned value in its two parts.
trait IntoParts<T> {
    fn into_parts(self) -> (std::ops::Range<usize>, T);
}

impl<T> IntoParts<T> for Spanned<T> {
    fn into_parts(self) -> (std::ops::Range<usize>, T) {
        (self.span(), self.into_inner())
    }
}
