-- Quantities of subscriptions, and limits that are added to others.
ALTER TABLE package_features
    -- Null: the highest limit counts.
    ADD COLUMN stacking text CHECK (stacking = 'ADD');
ALTER TABLE package_feature_terms
    -- Null: the highest limit counts.
    ADD COLUMN stacking text CHECK (stacking = 'ADD');
-- A copy of those that run stands beside their user as a fifth value, where it is not null.
ALTER TABLE subscriptions
    -- The oldest known quantity and its changes, oldest first, as JSON: [quantity, [[since, quantity], ...]].
    -- Null: always one.
    ADD COLUMN quantities text;
