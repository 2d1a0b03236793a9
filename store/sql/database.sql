-- This database: nobody connects but the logins that migrate() names; nothing is made in schema public.
DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), current_user);
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'authly') THEN
        CREATE SCHEMA authly AUTHORIZATION authly_owner;
    END IF;
END
$$;
