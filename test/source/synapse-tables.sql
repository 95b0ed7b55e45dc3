-- The tables of a Synapse database that the feed reads, with the columns and indexes it may count on (schema version 94): for
-- tests that write what a real Synapse writes rarely or slowly. Those beside a real Synapse show that these are alike.
CREATE TABLE current_state_events (
  event_id text NOT NULL UNIQUE,
  room_id text NOT NULL,
  type text NOT NULL,
  state_key text NOT NULL,
  membership text,
  event_stream_ordering bigint,
  UNIQUE (room_id, type, state_key)
);
CREATE INDEX ON current_state_events (state_key) WHERE type = 'm.room.member';
CREATE INDEX ON current_state_events (room_id, membership) WHERE type = 'm.room.member';
CREATE INDEX ON current_state_events (event_stream_ordering);

CREATE TABLE current_state_delta_stream (
  stream_id bigint NOT NULL,
  room_id text NOT NULL,
  type text NOT NULL,
  state_key text NOT NULL,
  event_id text,
  prev_event_id text,
  instance_name text
);
CREATE INDEX ON current_state_delta_stream (stream_id);
CREATE INDEX ON current_state_delta_stream (room_id, stream_id);

CREATE SEQUENCE events_stream_seq START 2;
CREATE TABLE events (
  stream_ordering bigint NOT NULL UNIQUE,
  event_id text NOT NULL UNIQUE,
  room_id text NOT NULL,
  instance_name text
);
CREATE TABLE ex_outlier_stream (
  event_stream_ordering bigint PRIMARY KEY,
  event_id text NOT NULL,
  instance_name text
);
CREATE TABLE stream_positions (
  stream_name text NOT NULL,
  instance_name text NOT NULL,
  stream_id bigint NOT NULL,
  UNIQUE (stream_name, instance_name)
);
CREATE TABLE rooms (room_id text PRIMARY KEY, room_version text);
CREATE TABLE partial_state_rooms (room_id text PRIMARY KEY REFERENCES rooms (room_id));
CREATE TABLE schema_version (version integer NOT NULL, upgraded boolean NOT NULL);
CREATE TABLE schema_compat_version (compat_version integer NOT NULL);
CREATE TABLE background_updates (update_name text NOT NULL UNIQUE, progress_json text NOT NULL);
CREATE TABLE cache_invalidation_stream_by_instance (
  stream_id bigint NOT NULL UNIQUE,
  instance_name text NOT NULL,
  cache_func text NOT NULL,
  keys text[],
  invalidation_ts bigint
);

INSERT INTO schema_version VALUES (94, true);
INSERT INTO schema_compat_version VALUES (84);
