-- Heartbeats, so that a store that was restored or failed over is recognised (docs/decisions/0016-restores.md). The newest row
-- tells of the present: a base backup keeps timeline and system identifier, but not the beats that came after it.

CREATE TABLE store_history (
    beat bigint PRIMARY KEY CHECK (beat > 0),
    at timestamptz NOT NULL,
    -- Changes whenever the store epoch is raised, which was last at raised_at.
    incarnation uuid NOT NULL,
    raised_at timestamptz NOT NULL,
    -- The server that wrote it.
    system_identifier bigint NOT NULL,
    timeline bigint NOT NULL
);

-- The server that answers. The timeline is that of the WAL being written; the control file's lags behind a promotion.
CREATE FUNCTION store_origin() RETURNS TABLE (system_identifier bigint, timeline bigint)
LANGUAGE plpgsql STABLE SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT c.system_identifier,
        ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint FROM pg_control_system() c;
END
$$;

INSERT INTO store_history SELECT 1, clock_timestamp(), gen_random_uuid(), clock_timestamp(), o.* FROM store_origin() o;

-- What a replica looks at with each poll; `known_*` is the beat that it remembers.
CREATE FUNCTION look_at_history(known_beat bigint, known_at timestamptz)
RETURNS TABLE (incarnation uuid, raised_at timestamptz, beat bigint, at timestamptz, silence_ms bigint,
    written_system bigint, written_timeline bigint, system_identifier bigint, timeline bigint, oldest bigint, kept boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT h.incarnation, h.raised_at, h.beat, h.at,
            abs(extract(epoch FROM clock_timestamp() - h.at) * 1000)::bigint, h.system_identifier, h.timeline,
            o.system_identifier, o.timeline, (SELECT f.beat FROM store_history f ORDER BY f.beat LIMIT 1),
            EXISTS (SELECT FROM store_history k WHERE k.beat = known_beat AND k.at = known_at)
        FROM store_history h, store_origin() o ORDER BY h.beat DESC LIMIT 1;
END
$$;

-- The next beat of this history: at once, or unless there was one within the second. Returns the newest; nothing, if another history
-- has begun. Whatever was committed before the call is older than it. An hour of beats is kept.
CREATE FUNCTION beat_history(expected uuid, at_once boolean) RETURNS TABLE (beat bigint, at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
#variable_conflict use_column
DECLARE
    made bigint;
BEGIN
    INSERT INTO store_history AS h (beat, at, incarnation, raised_at, system_identifier, timeline)
        SELECT l.beat + 1, clock_timestamp(), l.incarnation, l.raised_at, l.system_identifier, l.timeline
        FROM (SELECT * FROM store_history ORDER BY beat DESC LIMIT 1) l
        WHERE l.incarnation = expected AND (at_once OR abs(extract(epoch FROM clock_timestamp() - l.at)) >= 1)
    ON CONFLICT ON CONSTRAINT store_history_pkey DO NOTHING RETURNING h.beat INTO made;
    IF made % 60 = 0 THEN
        DELETE FROM store_history h WHERE h.beat <= made - 3600 AND h.at < clock_timestamp() - interval '1 hour';
    END IF;
    RETURN QUERY SELECT l.beat, l.at FROM (SELECT * FROM store_history ORDER BY beat DESC LIMIT 1) l WHERE l.incarnation = expected;
END
$$;

-- Every tenant: counted URLs issued before are refused, and those of the seconds ahead. An issue time is cut to a second.
CREATE FUNCTION raise_tenant_epochs(ahead int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
DECLARE
    ids uuid[];
    names text[];
BEGIN
    WITH raised AS (
        UPDATE tenant SET store_epoch = greatest(store_epoch, floor(extract(epoch FROM clock_timestamp()))::bigint + ahead)
        RETURNING id, name)
    SELECT array_agg(id), array_agg(name) INTO ids, names FROM raised;
    IF ids IS NOT NULL THEN
        PERFORM publish(ids, array_fill('tenant'::text, ARRAY[cardinality(ids)]), names);
    END IF;
END
$$;

-- What an operator remembers of the store may be gone too: it takes the lead anew, and reads everything.
CREATE FUNCTION fence_leaders() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    UPDATE leader_epoch SET epoch = epoch + 1, acquired_at = clock_timestamp();
END
$$;

-- Begins a new history, unless another than the expected one has begun already; NULL: in any case. False if it had.
CREATE FUNCTION raise_store_epoch(expected uuid, fence boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
DECLARE
    last store_history;
BEGIN
    LOCK TABLE store_history IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO last FROM store_history ORDER BY beat DESC LIMIT 1;
    IF expected IS NOT NULL AND last.incarnation <> expected THEN
        RETURN false;
    END IF;
    INSERT INTO store_history SELECT last.beat + 1, clock_timestamp(), gen_random_uuid(), clock_timestamp(), o.* FROM store_origin() o;
    -- Clocks may differ by five seconds; but after a silence of a minute nobody has issued anything for as long.
    PERFORM raise_tenant_epochs(CASE WHEN fence THEN 6 ELSE 1 END);
    IF fence THEN
        PERFORM fence_leaders();
    END IF;
    RETURN true;
END
$$;

DO $$
DECLARE
    f text;
    r text;
BEGIN
    FOR f, r IN VALUES
        ('look_at_history', 'authly_fn_history'), ('beat_history', 'authly_fn_history'), ('raise_store_epoch', 'authly_fn_history'),
        ('raise_tenant_epochs', 'authly_fn_tenant'), ('fence_leaders', 'authly_fn_leader')
    LOOP
        EXECUTE format('GRANT USAGE, CREATE ON SCHEMA authly TO %I', r);
        EXECUTE format('REVOKE ALL ON FUNCTION %I FROM PUBLIC', f);
        EXECUTE format('ALTER FUNCTION %I OWNER TO %I', f, r);
        EXECUTE format('REVOKE CREATE ON SCHEMA authly FROM %I', r);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION store_origin FROM PUBLIC;
GRANT EXECUTE ON FUNCTION store_origin TO authly_fn_history;
GRANT SELECT, INSERT, DELETE ON store_history TO authly_fn_history;
GRANT SELECT (id, name, store_epoch), UPDATE (store_epoch) ON tenant TO authly_fn_tenant;
GRANT SELECT, UPDATE (epoch, acquired_at) ON leader_epoch TO authly_fn_leader;
GRANT EXECUTE ON FUNCTION publish TO authly_fn_tenant;
GRANT EXECUTE ON FUNCTION raise_tenant_epochs, fence_leaders TO authly_fn_history;

GRANT EXECUTE ON FUNCTION look_at_history, beat_history TO authly_server, authly_gateway;
-- Jobs: `authly admin raise-store-epoch`.
GRANT EXECUTE ON FUNCTION raise_store_epoch TO authly_server, authly_gateway, authly_jobs;
