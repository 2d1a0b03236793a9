-- What the functions of 0016 do is the same but for three things (docs/decisions/0016-restores.md).

-- The oldest beats go a few at a time: after a long sleep there may be many, and a replica waits for its beat. Four times as many
-- as come.
CREATE OR REPLACE FUNCTION beat_history(expected uuid, at_once boolean) RETURNS TABLE (beat bigint, at timestamptz)
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
        DELETE FROM store_history h WHERE h.beat IN (
            SELECT o.beat FROM store_history o WHERE o.beat <= made - 3600 AND o.at < clock_timestamp() - interval '1 hour'
            ORDER BY o.beat LIMIT 240);
    END IF;
    RETURN QUERY SELECT l.beat, l.at FROM (SELECT * FROM store_history ORDER BY beat DESC LIMIT 1) l WHERE l.incarnation = expected;
END
$$;

-- Leaders are fenced before tenants are written, in the order in which a leader's own transaction locks the two: the other way round
-- each waits for the other. Whoever may not name the history is a member of authly_jobs (`authly admin raise-store-epoch`): a replica
-- has seen the one that it doubts, and can raise each only once.
CREATE OR REPLACE FUNCTION raise_store_epoch(expected uuid, fence boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = authly, pg_temp AS $$
DECLARE
    last store_history;
BEGIN
    IF expected IS NULL AND NOT pg_has_role(session_user, 'authly_jobs', 'MEMBER') THEN
        RAISE insufficient_privilege USING MESSAGE = format('%s must name the history that it doubts', session_user);
    END IF;
    LOCK TABLE store_history IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO last FROM store_history ORDER BY beat DESC LIMIT 1;
    IF expected IS NOT NULL AND last.incarnation <> expected THEN
        RETURN false;
    END IF;
    INSERT INTO store_history SELECT last.beat + 1, clock_timestamp(), gen_random_uuid(), clock_timestamp(), o.* FROM store_origin() o;
    IF fence THEN
        PERFORM fence_leaders();
    END IF;
    -- Clocks may differ by five seconds; but after a silence of a minute nobody has issued anything for as long.
    PERFORM raise_tenant_epochs(CASE WHEN fence THEN 6 ELSE 1 END);
    RETURN true;
END
$$;
