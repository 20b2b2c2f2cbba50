-- Reset periods of a minute, an hour and a week, and periods counted by the calendar.
ALTER TABLE package_features
    DROP CONSTRAINT package_features_reset_period_check,
    ADD CONSTRAINT package_features_reset_period_check
        CHECK (reset_period IN ('MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR')),
    -- Null: the start of the subscription.
    ADD COLUMN reset_anchor text
        CHECK (reset_anchor = 'CALENDAR');

ALTER TABLE package_feature_terms
    DROP CONSTRAINT package_feature_terms_reset_period_check,
    ADD CONSTRAINT package_feature_terms_reset_period_check
        CHECK (reset_period IN ('MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR')),
    -- Null: the start of the subscription.
    ADD COLUMN reset_anchor text
        CHECK (reset_anchor = 'CALENDAR');
