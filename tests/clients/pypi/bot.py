"""A bot on mmpy_bot, unchanged: log in with a token, listen on a websocket, post, reply in a thread, react.

usage: bot.py URL PORT TOKEN TEAM CHANNEL; it answers a post "hello" and goes on until it is stopped.
"""

import logging
import sys

from mmpy_bot import Bot, Message, Plugin, Settings, listen_to

url, port, token, team, channel = sys.argv[1:]


class Answers(Plugin):
    @listen_to("^hello$")
    async def hello(self, message: Message):
        self.driver.create_post(channel, "a post of its own")
        self.driver.reply_to(message, "hello to you")
        self.driver.react_to(message, "wave")

    @listen_to("^a post by somebody$")
    async def seen(self, message: Message):
        thread = self.driver.get_post_thread(message.id)
        self.driver.reply_to(message, f"a thread of {len(thread['posts'])}")


Bot(
    settings=Settings(
        MATTERMOST_URL=url,
        MATTERMOST_PORT=int(port),
        BOT_TOKEN=token,
        BOT_TEAM=team,
        SSL_VERIFY=False,
        LOG_LEVEL=logging.WARNING,
    ),
    plugins=[Answers()],
).run()
