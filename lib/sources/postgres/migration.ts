import pg from 'pg'
import type { Query } from './connections.ts'
import type { Names } from './names.ts'

/** The version of the tables. Stored in a comment of the table, so that each migration runs once. */
const VERSION = 2
/** The start of that comment. */
const NOTE = 'fastify-multitenant '
/** A message lists changed hosts of at most this many bytes, since PostgreSQL limits a message to 8,000 bytes. */
const MAX_HOST_BYTES = 6_000
/** How long a migration may take, in ms. It may have to wait for the migration of another process. */
const TIMEOUT = 60_000

/** Creates the tables in one transaction. Rejects when PostgreSQL or the connection fails. */
export async function migrate (query: Query, names: Names): Promise<void> {
  const [{ schema, note } = { schema: false, note: null }] = await query<{ schema: boolean, note: string | null }>(
    'select to_regnamespace($1) is not null as schema, obj_description(to_regclass($2)) as note', [names.schema, names.tenants])
  // Leave a later version alone: during a rollout, old code may start again.
  if (note?.startsWith(NOTE) === true && Number(note.slice(NOTE.length)) >= VERSION) return
  // Skip `create schema` if the schema exists: a role without that privilege is refused even if there is nothing to create.
  const createSchema = schema ? '' : `create schema if not exists ${names.schema};`
  // PostgreSQL runs the statements of one query in one transaction.
  await query(`${lock(names)} ${createSchema} ${tables(names)} ${changesOfVersion2(names)} ${functions(names)} ${triggers(names)}
    comment on table ${names.tenants} is ${pg.escapeLiteral(NOTE + VERSION)}`, [], TIMEOUT)
}

/** Makes migrations run one after the other: `if not exists` alone fails when several processes migrate at once. */
function lock ({ schema }: Names): string {
  return `select pg_advisory_xact_lock(hashtextextended(${pg.escapeLiteral(schema)}, 0));`
}

/** The hosts of all tenants are stored in a second table, whose primary key keeps two tenants from having the same host. A trigger fills it. */
function tables ({ tenants, hosts, hostsIndex, versions }: Names): string {
  return `
    create sequence if not exists ${versions};
    create table if not exists ${tenants} (
      id text collate "C" primary key check (length(id) between 1 and 255),
      name text,
      hosts text[] not null default '{}' check (coalesce(array_ndims(hosts), 1) = 1),
      active boolean not null default true,
      config jsonb not null default '{}' check (jsonb_typeof(config) = 'object'),
      dir text,
      template text,
      version bigint not null default 0
    );
    create table if not exists ${hosts} (
      host text collate "C" primary key
        check (length(host) <= 255 and host ~ '^((\\*\\.)?[a-z0-9_-]+(\\.[a-z0-9_-]+)*|\\[[0-9a-f:.]+\\])$'),
      tenant_id text collate "C" not null references ${tenants} (id) on update cascade on delete cascade
    );
    create index if not exists ${hostsIndex} on ${hosts} (tenant_id);`
}

/**
 * In version 1, a row could not have both `dir` and `template`. PostgreSQL chose the name of that check, so it is found by its text.
 * The index lets a comparison read all versions without reading the rows.
 */
function changesOfVersion2 ({ tenants, versionsIndex }: Names): string {
  const table = pg.escapeLiteral(tenants)
  return `
    do ${pg.escapeLiteral(`
      declare
        found name;
      begin
        select conname into found from pg_constraint
          where conrelid = ${table}::regclass and pg_get_constraintdef(oid) = 'CHECK (((dir IS NULL) OR (template IS NULL)))';
        if found is not null then
          execute format('alter table %s drop constraint %I', ${table}, found);
        end if;
      end`)};
    create index if not exists ${versionsIndex} on ${tenants} (version);`
}

/**
 * Versions come from a sequence. A counter in the row would start again for a tenant that is deleted and created again, and repeat an
 * old version.
 */
function functions ({ hosts, versions, setVersion, announce, channel }: Names): string {
  const notify = (fields: string): string => `perform pg_notify(${pg.escapeLiteral(channel)}, json_build_object(${fields})::text);`
  return `
    create or replace function ${setVersion} () returns trigger language plpgsql set search_path = pg_catalog as ${pg.escapeLiteral(`
      begin
        new.version := nextval(${pg.escapeLiteral(versions)});
        return new;
      end`)};
    create or replace function ${announce} () returns trigger language plpgsql set search_path = pg_catalog as ${pg.escapeLiteral(`
      declare
        before text[] := '{}';
        concerned text[] := '{}';
      begin
        if tg_op <> 'INSERT' then
          before := old.hosts;
        end if;
        if tg_op = 'DELETE' or before <> new.hosts or old.id <> new.id then
          concerned := before || new.hosts;
        end if;
        if octet_length(array_to_json(concerned)::text) > ${MAX_HOST_BYTES} then
          concerned := null;
        end if;
        if tg_op = 'DELETE' or old.id <> new.id then
          ${notify("'id', old.id, 'active', false, 'hosts', concerned")}
        end if;
        if tg_op = 'DELETE' then
          return null;
        end if;
        if before <> new.hosts then
          delete from ${hosts} where tenant_id = new.id;
          insert into ${hosts} select distinct host, new.id from unnest(new.hosts) as host;
        end if;
        ${notify("'id', new.id, 'version', new.version::text, 'active', new.active, 'hosts', concerned")}
        return null;
      end`)};`
}

/** An update that changes nothing fires no trigger. */
function triggers ({ tenants, setVersion, announce }: Names): string {
  const definitions = [
    ['set_version_of_new', `before insert on ${tenants} for each row execute function ${setVersion}()`],
    ['set_version', `before update on ${tenants} for each row when (old is distinct from new) execute function ${setVersion}()`],
    ['announce', `after insert or delete on ${tenants} for each row execute function ${announce}()`],
    ['announce_update', `after update on ${tenants} for each row when (old is distinct from new) execute function ${announce}()`]
  ]
  return definitions.map(([name, rest]) => `drop trigger if exists ${name} on ${tenants}; create trigger ${name} ${rest};`).join('\n')
}
