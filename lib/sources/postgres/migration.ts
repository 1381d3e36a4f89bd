import pg from 'pg'
import type { Query } from './connections.ts'
import type { Names } from './names.ts'

/** Counts the ways in which the tables have been made. It is noted in the database, so that a migration is done once. */
const VERSION = 1
const NOTE = 'fastify-multitenant '
/** Of hosts that take more bytes than this it is not told which: a message holds 8,000. */
const MAX_TOLD = 6_000
/** A migration may wait for that of another process. In ms. */
const TIMEOUT = 60_000

/** Makes the tables, in one transaction. Throws what PostgreSQL or the connection throws. */
export async function migrate (query: Query, names: Names): Promise<void> {
  const [{ schema, note } = { schema: false, note: null }] = await query<{ schema: boolean, note: string | null }>(
    'select to_regnamespace($1) is not null as schema, obj_description(to_regclass($2)) as note', [names.schema, names.tenants])
  // A later version is left as it is: while new code is rolled out, old code may start once more.
  if (note?.startsWith(NOTE) === true && Number(note.slice(NOTE.length)) >= VERSION) return
  // Who may make tables in a schema may not be allowed to make schemas, and is refused even where there is nothing to make.
  const createSchema = schema ? '' : `create schema if not exists ${names.schema};`
  // Several statements in one query are one transaction.
  await query(`${lock(names)} ${createSchema} ${tables(names)} ${functions(names)} ${triggers(names)}
    comment on table ${names.tenants} is ${pg.escapeLiteral(NOTE + VERSION)}`, [], TIMEOUT)
}

/** Several processes may migrate at once, and "if not exists" alone does not bear that. */
function lock ({ schema }: Names): string {
  return `select pg_advisory_xact_lock(hashtextextended(${pg.escapeLiteral(schema)}, 0));`
}

/** The hosts of all tenants are in a table of their own, so that no two tenants can have the same. The trigger fills it. */
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
      version bigint not null default 0,
      check (dir is null or template is null)
    );
    create table if not exists ${hosts} (
      host text collate "C" primary key
        check (length(host) <= 255 and host ~ '^((\\*\\.)?[a-z0-9_-]+(\\.[a-z0-9_-]+)*|\\[[0-9a-f:.]+\\])$'),
      tenant_id text collate "C" not null references ${tenants} (id) on update cascade on delete cascade
    );
    create index if not exists ${hostsIndex} on ${hosts} (tenant_id);`
}

/**
 * A version is of a sequence and not a count of the row's changes: of a tenant that was deleted and made again, the old one must not
 * come back.
 */
function functions ({ hosts, versions, setVersion, announce, channel }: Names): string {
  const tell = (fields: string): string => `perform pg_notify(${pg.escapeLiteral(channel)}, json_build_object(${fields})::text);`
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
        if octet_length(array_to_json(concerned)::text) > ${MAX_TOLD} then
          concerned := null;
        end if;
        if tg_op = 'DELETE' or old.id <> new.id then
          ${tell("'id', old.id, 'active', false, 'hosts', concerned")}
        end if;
        if tg_op = 'DELETE' then
          return null;
        end if;
        if before <> new.hosts then
          delete from ${hosts} where tenant_id = new.id;
          insert into ${hosts} select distinct host, new.id from unnest(new.hosts) as host;
        end if;
        ${tell("'id', new.id, 'version', new.version::text, 'active', new.active, 'hosts', concerned")}
        return null;
      end`)};`
}

/** An update that changes nothing is of no account. */
function triggers ({ tenants, setVersion, announce }: Names): string {
  const made = [
    ['set_version_of_new', `before insert on ${tenants} for each row execute function ${setVersion}()`],
    ['set_version', `before update on ${tenants} for each row when (old is distinct from new) execute function ${setVersion}()`],
    ['announce', `after insert or delete on ${tenants} for each row execute function ${announce}()`],
    ['announce_update', `after update on ${tenants} for each row when (old is distinct from new) execute function ${announce}()`]
  ]
  return made.map(([name, rest]) => `drop trigger if exists ${name} on ${tenants}; create trigger ${name} ${rest};`).join('\n')
}
