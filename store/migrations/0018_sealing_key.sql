-- For `authly admin rewrap`; after 0010, which makes the table.

-- The ids of the platform keys that wrap the sealing key, from the header of its envelope. The job that seals wraps it anew by
-- itself; the operator's role, which may not read the key, only has to see when that is done.
CREATE FUNCTION sealing_key_wrapped_by() RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = authly, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT DISTINCT convert_from(substring(k.wrapped_private FROM 3 FOR get_byte(k.wrapped_private, 1)), 'UTF8')
        FROM seal_key k;
END
$$;
GRANT USAGE ON SCHEMA authly TO authly_fn_seal_key;
GRANT SELECT (wrapped_private) ON seal_key TO authly_fn_seal_key;
GRANT CREATE ON SCHEMA authly TO authly_fn_seal_key;
REVOKE ALL ON FUNCTION sealing_key_wrapped_by FROM PUBLIC;
ALTER FUNCTION sealing_key_wrapped_by OWNER TO authly_fn_seal_key;
REVOKE CREATE ON SCHEMA authly FROM authly_fn_seal_key;
GRANT EXECUTE ON FUNCTION sealing_key_wrapped_by TO authly_operator;
