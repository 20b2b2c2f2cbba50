-- What is left of a period stays usable for so many more. Null: it is lost.
ALTER TABLE package_features ADD COLUMN
    rollover_periods INTEGER CHECK (rollover_periods BETWEEN 1 AND 12);
ALTER TABLE package_features ADD COLUMN
    -- The most that is carried into a period. Null: no cap.
    rollover_max INTEGER CHECK (rollover_max >= 1);
ALTER TABLE package_feature_terms ADD COLUMN
    rollover_periods INTEGER CHECK (rollover_periods BETWEEN 1 AND 12);
ALTER TABLE package_feature_terms ADD COLUMN
    rollover_max INTEGER CHECK (rollover_max >= 1);
