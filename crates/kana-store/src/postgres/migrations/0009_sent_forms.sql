-- Forms of the dashboard that make something, by the hash of what was sent. So a form that is sent twice makes
-- one thing, however many servers there are.
CREATE TABLE sent_forms (
    -- SHA-256 of the session, the form's path and its nonce.
    hash    bytea  NOT NULL PRIMARY KEY,
    sent_at bigint NOT NULL,
    -- The address of what was made. Null: not known yet.
    led_to  text
);

CREATE INDEX sent_forms_by_age ON sent_forms (sent_at);
