//! Every bound of every message, in one place. A length that is not here is a bug (STYLE.md 12).

/// Largest payload of one frame in bytes: one attached file and its envelope.
pub const MAX_FRAME: usize = MAX_ATTACHMENT + 64 * 1024;

/// Largest file attached to a reply, in bytes. Longer output is cut, and the reply says so.
pub const MAX_ATTACHMENT: usize = 1024 * 1024;

/// Largest chat message in bytes: the 16,383 code points that Mattermost stores, each at most four bytes.
pub const MAX_MESSAGE: usize = 65_532;

/// Largest REST answer that egress hands on, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// Largest piece of a script's output in one frame, in bytes.
pub const MAX_OUTPUT_CHUNK: usize = 32 * 1024;

/// Largest piece of websocket traffic in one frame, in bytes.
pub const MAX_CARRIED: usize = 64 * 1024;

/// Most arguments one script can be given.
pub const MAX_ARGUMENTS: usize = 64;

/// Largest single argument in bytes. Well under the kernel's 128 KiB a string.
pub const MAX_ARGUMENT: usize = 16 * 1024;

/// Most environment variables one script can be given.
pub const MAX_ENVIRONMENT: usize = 64;

/// Longest name of a user, channel or team, in bytes (Mattermost allows 64 characters).
pub const MAX_NAME: usize = 256;

/// Longest reason, error or detail that travels for people to read, in bytes.
pub const MAX_REASON: usize = 1024;

/// Longest file-system path in bytes (`PATH_MAX`).
pub const MAX_PATH: usize = 4096;

/// Most paths or hosts of one kind that a profile grants.
pub const MAX_GRANTS: usize = 64;

/// Most hosts and ports that one job may connect to: those of its profile, and its targets.
pub const MAX_ENDPOINTS: usize = 1024;

/// Most groups of targets that one job knows.
pub const MAX_TARGET_GROUPS: usize = 256;

/// Most roles of the bot's that are looked at.
pub const MAX_ROLES: usize = 64;

/// Most rows in one answer on the control socket.
pub const MAX_ROWS: usize = 1024;

/// Most channels whose cursor the connector is given.
pub const MAX_CHANNELS: usize = 4096;

/// Most threads in which somebody is asked something, or a script is subscribed to what is written, at once.
pub const MAX_LISTENED: usize = 512;

/// Accounts in channels whose posts are reported because of triggers.
pub const MAX_HEARD: usize = 64;

/// Most descriptors that travel with one frame.
pub const MAX_DESCRIPTORS: usize = 4;

/// Largest bundle of CA certificates in bytes (Debian's is about 220 KiB).
pub const MAX_CA_BUNDLE: usize = 768 * 1024;

/// Largest chain of certificates of our own in bytes.
pub const MAX_CHAIN: usize = 64 * 1024;

/// Largest key of a certificate of our own in bytes.
pub const MAX_CLIENT_KEY: usize = 16 * 1024;

/// Largest secret or memory in bytes.
pub const MAX_SECRET: usize = 16 * 1024;

/// Most secrets of one job.
pub const MAX_SECRETS: usize = 16;

/// Most bytes of all secrets of one job: what a pipe holds.
pub const MAX_SECRETS_SIZE: usize = 64 * 1024;

/// Longest passphrase in bytes.
pub const MAX_PASSPHRASE: usize = 1024;

/// Largest part of a backup in one frame, in bytes.
pub const MAX_BACKUP_PART: usize = 512 * 1024;

/// Largest backup of the brain, in bytes.
pub const MAX_BACKUP: usize = 96 * 1024 * 1024;

/// Largest bot token in bytes (Mattermost's are 26).
pub const MAX_TOKEN: usize = 256;

/// Most reactions to one post that are attested. (A post may have 50 emoji, each of any number of people.)
pub const MAX_REACTIONS: usize = 256;

/// Most emoji that one question about reactions names.
pub const MAX_EMOJI_ASKED: usize = 16;

/// Most protected posts named in one frame, and most that egress keeps: the newest.
pub const MAX_PROTECTED: usize = 8192;

/// Most flags of one person.
pub const MAX_FLAGS: usize = 32;

/// Most people of one group of the server. A larger one is as good as unknown.
pub const MAX_GROUP: usize = 4096;

/// Most gates that one explanation names.
pub const MAX_GATES: usize = 16;

/// Largest call of a script, in bytes: one file and its envelope.
pub const MAX_CALL: usize = MAX_ATTACHMENT + 32 * 1024;

/// Most words of one call: a verb, and names and values.
pub const MAX_WORDS: usize = 32;

/// Longest text that a script has posted at once, in bytes.
pub const MAX_SAID: usize = 16 * 1024;

/// Longest diff that a script has posted, in bytes. What does not fit a post is left out, and the post says so.
pub const MAX_DIFF: usize = 64 * 1024;

/// Most names with values in one card.
pub const MAX_CARD_FIELDS: usize = 20;

/// Longest word of progress, in bytes.
pub const MAX_PROGRESS: usize = 200;

/// Calls of one job that wait for their answers at the same time.
pub const MAX_CALLS: usize = 16;

/// Machines of which one call tells what became of them.
pub const MAX_HOSTS_TOLD: usize = 64;

/// Largest order for another machine, without its script, in bytes.
pub const MAX_REMOTE_ORDER: usize = 256 * 1024;

/// Largest script that is sent to another machine, in bytes.
pub const MAX_REMOTE_SCRIPT: usize = 512 * 1024;

/// Largest frame that another machine takes: an order, its script, and their envelope.
pub const MAX_REMOTE_FRAME: usize = MAX_REMOTE_ORDER + MAX_REMOTE_SCRIPT + 1024;

/// Host keys that one target may have.
pub const MAX_HOST_KEYS: usize = 8;

/// Longest line of a host key, in bytes.
pub const MAX_HOST_KEY: usize = 2048;
