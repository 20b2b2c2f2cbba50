-- The feature whose balance this one draws on, and how many units of it one unit costs. Null: it draws on
-- nothing.
ALTER TABLE features ADD COLUMN draws_on TEXT;
ALTER TABLE features ADD COLUMN cost INTEGER;
