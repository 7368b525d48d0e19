//! What clients want of an app.

use super::messages::app;
use super::text;
use wharf_proto::spec::{
    AppSpec, BackupSpec, BumpRule, ComposeSpec, DrillSpec, DumpSpec, HookSpec, HookWhen, KeepSpec, LogsSpec,
    MigrateSpec, MysqlSpec, OutsideSpec, PostgresSpec, ProbeSpec, RedisSpec, SecretsSpec, VerifySpec,
    VolumeMode, VolumeSpec,
};

pub fn bump() -> BumpRule {
    BumpRule { file: text("mobile/app.json"), when_changed: vec!["mobile/**".into(), "shared/*.ts".into()] }
}

pub fn full_spec() -> AppSpec {
    AppSpec {
        app: app(),
        path: "/home/deploy/fitnessapp".into(),
        compose: ComposeSpec {
            files: vec![text("docker/compose.yml"), text("docker/compose.prod.yml")],
            env_file: Some(text(".env.prod")),
            profiles: vec!["workers".into()],
            project: Some("docker".into()),
        },
        bump: vec![bump()],
        mysql: vec![MysqlSpec {
            service: "maria".into(),
            user: Some("root".into()),
            database: Some("shop".into()),
        }],
        redis: vec![RedisSpec { service: "cache".into() }],
        dump: vec![DumpSpec {
            service: "docs".into(),
            name: Some("notes".into()),
            dump: vec!["mongodump".into(), "--archive".into()],
            check: vec!["check-archive".into(), "--whole".into()],
            restore: vec!["mongorestore".into(), "--archive".into()],
            ready: vec!["mongosh".into(), "--eval".into(), "db.hello()".into()],
            count: vec!["count-collections".into()],
        }],
        postgres: vec![
            PostgresSpec {
                service: "db".into(),
                user: Some("app".into()),
                database: Some("app".into()),
                check_sql: Some("SELECT count(*) > 0 FROM users".into()),
                outside: None,
            },
            PostgresSpec {
                outside: Some(OutsideSpec {
                    url_env: "MAPS_URL".into(),
                    image: "postgres:17".into(),
                    network: Some("maps_default".into()),
                }),
                ..PostgresSpec::default()
            },
        ],
        volume: vec![
            VolumeSpec { name: Some("uploads".into()), path: None, mode: VolumeMode::Live },
            VolumeSpec { name: None, path: Some("media".into()), mode: VolumeMode::Stop },
        ],
        migrate: vec![
            MigrateSpec {
                command: vec!["alembic".into(), "upgrade".into(), "head".into()],
                timeout_seconds: 900,
                ..migrate("api")
            },
            MigrateSpec {
                folder: Some("migrations".parse().expect("a path")),
                database: Some("app".into()),
                table: Some("wharf_migrations".into()),
                ..migrate("db")
            },
        ],
        hook: vec![HookSpec {
            when: HookWhen::AfterDeploy,
            command: vec!["./scripts/announce".into()],
            timeout_seconds: 30,
        }],
        health: vec![ProbeSpec {
            url: "http://127.0.0.1:8080/health".into(),
            status: 204,
            timeout_seconds: 2,
            within_seconds: 60,
        }],
        verify: VerifySpec { start_timeout_seconds: 300, stable_seconds: 10 },
        secrets: SecretsSpec { required: vec!["SECRET_KEY".into()], plain: vec!["API_TOKEN".into()] },
        backup: BackupSpec {
            schedule: Some("0 3 * * *".into()),
            timezone: Some("Europe/Berlin".into()),
            keep: Some(KeepSpec { last: 3, hourly: 24, daily: 7, weekly: 4, monthly: 6, yearly: 2 }),
            drill: DrillSpec::Weekly,
        },
        logs: LogsSpec {
            max_size: Some("50m".to_owned().try_into().expect("a size")),
            max_files: Some(3.try_into().expect("a number of files")),
        },
        keep_releases: 9,
    }
}

pub fn minimal_spec() -> AppSpec {
    AppSpec {
        app: app(),
        path: "/srv/fitnessapp".into(),
        compose: ComposeSpec {
            files: vec![text("compose.yml")],
            env_file: None,
            profiles: vec![],
            project: None,
        },
        bump: vec![],
        postgres: vec![],
        mysql: vec![],
        redis: vec![],
        dump: vec![],
        volume: vec![],
        migrate: vec![],
        hook: vec![],
        health: vec![],
        verify: VerifySpec { start_timeout_seconds: 120, stable_seconds: 5 },
        secrets: SecretsSpec::default(),
        backup: BackupSpec::default(),
        logs: LogsSpec::default(),
        keep_releases: 5,
    }
}

pub fn migrate(service: &str) -> MigrateSpec {
    MigrateSpec {
        service: service.into(),
        command: vec![],
        folder: None,
        database: None,
        table: None,
        timeout_seconds: 600,
    }
}
