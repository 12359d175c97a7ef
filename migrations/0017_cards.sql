-- The card of a reply that is still to be delivered, as JSON.
ALTER TABLE outbox ADD COLUMN card TEXT;
