//! The statements that make an empty PostgreSQL database like another one.

use super::database::literal;

/// They are made by the server itself, from what it knows of `model`, and run by `psql`.
///
/// Source: what `pg_dump --create` writes for a database. Settings whose value is a list are stored quoted already.
pub fn create_like(name: &str, model: &str) -> String {
    let (new_name, live) = (literal(name), literal(model));
    format!(
        r#"SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L%s CONNECTION LIMIT %s',
    {new_name}, pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype,
    CASE row->>'datlocprovider'
      WHEN 'c' THEN ' LOCALE_PROVIDER libc'
      WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', coalesce(row->>'datlocale', row->>'daticulocale'))
      WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', row->>'datlocale')
      ELSE '' END,
    datconnlimit)
  FROM (SELECT d.*, to_jsonb(d) AS row FROM pg_database d WHERE datname = {live}) found \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', {new_name}) FROM pg_database WHERE datname = {live} AND datacl IS NOT NULL \gexec
SELECT format('GRANT %s ON DATABASE %I TO %s%s', privilege_type, {new_name},
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM pg_database, aclexplode(datacl) WHERE datname = {live} \gexec
SELECT format('ALTER %s SET %I TO %s',
    CASE setrole WHEN 0 THEN format('DATABASE %I', {new_name})
      ELSE format('ROLE %I IN DATABASE %I', pg_get_userbyid(setrole), {new_name}) END,
    split_part(setting, '=', 1),
    CASE WHEN lower(split_part(setting, '=', 1)) IN ('search_path', 'local_preload_libraries',
        'session_preload_libraries', 'temp_tablespaces', 'unix_socket_directories')
      THEN substr(setting, strpos(setting, '=') + 1)
      ELSE quote_literal(substr(setting, strpos(setting, '=') + 1)) END)
  FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(setconfig) setting
 WHERE d.datname = {live} \gexec
"#
    )
}
