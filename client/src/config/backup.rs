//! `[backup]`: checked by the same code that the agent's schedule runs by.

use super::check::{Checked, Checker};
use super::raw::RawBackup;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use wharf_proto::spec::{BackupSpec, DrillSpec, KeepSpec};
use wharf_schedule::{Schedule, Zone};

const KEPT: RangeInclusive<u32> = 0..=10_000;

impl Checker<'_> {
    pub(super) fn backup(&self, backup: RawBackup) -> Checked<BackupSpec> {
        let zone = backup.timezone.as_ref().map(|zone| self.zone(zone)).transpose()?;
        if let Some(schedule) = &backup.schedule {
            Schedule::parse(schedule.get_ref(), zone.unwrap_or(Zone::UTC)).map_err(|error| {
                let instead =
                    "write minute, hour, day, month and weekday, for example: schedule = \"0 3 * * *\"";
                self.value(schedule.span(), "backup.schedule", error.to_string(), instead)
            })?;
        }
        let keep = backup.keep.map(|keep| self.keep(keep.span(), keep.into_inner())).transpose()?;
        Ok(BackupSpec {
            schedule: backup.schedule.map(Spanned::into_inner),
            timezone: backup.timezone.map(Spanned::into_inner),
            keep,
            drill: backup.drill.map(|drill| self.drill(&drill)).transpose()?.unwrap_or_default(),
        })
    }

    fn zone(&self, zone: &Spanned<String>) -> Checked<Zone> {
        zone.get_ref().parse().map_err(|error: wharf_schedule::ScheduleError| {
            let instead = "write a name of the IANA database, for example: timezone = \"Europe/Berlin\"";
            self.value(zone.span(), "backup.timezone", error.to_string(), instead)
        })
    }

    fn keep(&self, span: Range<usize>, keep: KeepSpec) -> Checked<KeepSpec> {
        if keep.is_empty() {
            let instead = "write for example: keep = { daily = 7, weekly = 4, monthly = 6 }, or leave it out to keep all";
            return Err(self.value(span, "backup.keep", "no rule keeps anything".into(), instead));
        }
        let KeepSpec { last, hourly, daily, weekly, monthly, yearly } = keep;
        for count in [last, hourly, daily, weekly, monthly, yearly] {
            self.within(span.clone(), "backup.keep", count, KEPT)?;
        }
        Ok(keep)
    }

    fn drill(&self, drill: &Spanned<String>) -> Checked<DrillSpec> {
        match drill.get_ref().as_str() {
            "after-release" => Ok(DrillSpec::AfterRelease),
            "after-backup" => Ok(DrillSpec::AfterBackup),
            "weekly" => Ok(DrillSpec::Weekly),
            "off" => Ok(DrillSpec::Off),
            other => {
                let instead = "write \"after-release\", \"after-backup\", \"weekly\" or \"off\"";
                let message = format!("{other:?} is no time for drills");
                Err(self.value(drill.span(), "backup.drill", message, instead))
            }
        }
    }
}
