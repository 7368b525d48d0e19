-- The release whose very source a release is, where it was promoted.

ALTER TABLE releases ADD COLUMN promoted TEXT; -- a PromotedFrom
