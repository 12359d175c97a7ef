-- Where a channel begins: the newest post that was there when the bot first read it. What is not newer is never obeyed,
-- also when catching up reads some seconds again.
ALTER TABLE cursor ADD COLUMN begun_ms INTEGER NOT NULL DEFAULT 0;
