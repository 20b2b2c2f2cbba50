-- What is left of a period stays usable for so many more. Null: it is lost.
ALTER TABLE package_features
    ADD COLUMN rollover_periods bigint CHECK (rollover_periods BETWEEN 1 AND 12),
    -- The most that is carried into a period. Null: no cap.
    ADD COLUMN rollover_max bigint CHECK (rollover_max >= 1);
ALTER TABLE package_feature_terms
    ADD COLUMN rollover_periods bigint CHECK (rollover_periods BETWEEN 1 AND 12),
    ADD COLUMN rollover_max bigint CHECK (rollover_max >= 1);
