// A bot on the official client library, unchanged: log in with a password, listen on a websocket, post, reply in a
// thread, react, and hear all of it come back. Ends with 0 when everything was seen.
//
// usage: node bot.cjs MODULES URL USER PASSWORD CHANNEL; says "ready" once it listens, then waits for "hello".
'use strict';

const {createRequire} = require('node:module');
const [modules, url, user, password, channel] = process.argv.slice(2);
const from = createRequire(`${modules}/`);
const {Client4, WebSocketClient} = from('@mattermost/client');
// The library is made for browsers; on Node 20 a websocket comes from elsewhere.
globalThis.WebSocket = from('ws');

const seen = new Set();
const wanted = ['hello', 'own post', 'own reply', 'own reaction'];

function see(what) {
    seen.add(what);
    if (wanted.every((one) => seen.has(one))) {
        console.log('done');
        process.exit(0);
    }
}

// Whoever started this waits for a line or the end.
setTimeout(() => {
    console.error('not seen:', wanted.filter((one) => !seen.has(one)));
    process.exit(1);
}, 30000);

async function main() {
    const client = new Client4();
    client.setUrl(url);
    const me = await client.login(user, password);
    const config = await client.getClientConfig();
    if (config.MaxPostSize !== '16383') {
        throw new Error(`MaxPostSize is ${config.MaxPostSize}`);
    }
    const [team] = await client.getMyTeams();
    const named = await client.getChannelByName(team.id, 'ops');
    if (named.id !== channel) {
        throw new Error('another channel is called ops');
    }

    const socket = new WebSocketClient();
    socket.addFirstConnectListener(() => console.log('ready'));
    socket.addMessageListener(async (event) => {
        if (event.event === 'posted') {
            const post = JSON.parse(event.data.post);
            if (post.user_id !== me.id && post.message === 'hello') {
                see('hello');
                await client.createPost({channel_id: channel, message: 'a post of its own'});
                await client.createPost({channel_id: channel, root_id: post.id, message: 'hello to you'});
                await client.addReaction(me.id, post.id, 'wave');
                const thread = await client.getPostThread(post.id);
                if (Object.keys(thread.posts).length !== 2) {
                    throw new Error('the thread has not two posts');
                }
            } else if (post.user_id === me.id) {
                see(post.root_id ? 'own reply' : 'own post');
            }
        } else if (event.event === 'reaction_added') {
            const reaction = JSON.parse(event.data.reaction);
            if (reaction.user_id === me.id && reaction.emoji_name === 'wave') {
                see('own reaction');
            }
        }
    });
    socket.initialize(`${url.replace(/^http/, 'ws')}/api/v4/websocket`, client.getToken());
}

process.on('unhandledRejection', (error) => {
    console.error(error);
    process.exit(1);
});
main();
