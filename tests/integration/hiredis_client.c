/* hiredis as C programs use it: synchronous, pipelined, and asynchronous in a loop of poll(). Debian 12's
   hiredis speaks RESP2 only. Driven by test_hiredis.py: the only argument is the proxy's port. Prints one
   line for each check that held and ends with 0, or says which one did not and ends with 1. */
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PIPELINED 20000
#define BIG_BYTES (8u << 20)
#define ASYNC_COMMANDS 500
#define SECONDS_MAX 15

static void fail(const char* what, const char* why) {
  fprintf(stderr, "FAILED: %s: %s\n", what, why);
  exit(1);
}

static void held(const char* what) {
  printf("held: %s\n", what);
}

static redisContext* connect_to(int port) {
  struct timeval timeout = {SECONDS_MAX, 0};
  redisContext* context = redisConnectWithTimeout("127.0.0.1", port, timeout);
  if (context == NULL || context->err) fail("connect", context ? context->errstr : "no memory");
  if (redisSetTimeout(context, timeout) != REDIS_OK) fail("timeout", context->errstr);
  return context;
}

static redisReply* checked(redisContext* context, void* answer, const char* what, int type) {
  redisReply* reply = answer;
  if (reply == NULL) fail(what, context->errstr);
  if (reply->type != type)
    fail(what, reply->type == REDIS_REPLY_ERROR ? reply->str : "another type of reply");
  return reply;
}

static void expect_text(redisContext* context, void* answer, const char* what, int type, const char* text) {
  redisReply* reply = checked(context, answer, what, type);
  if (strcmp(reply->str, text) != 0) fail(what, reply->str);
  freeReplyObject(reply);
}

static void expect_number(redisContext* context, void* answer, const char* what, long long number) {
  redisReply* reply = checked(context, answer, what, REDIS_REPLY_INTEGER);
  if (reply->integer != number) fail(what, "another number");
  freeReplyObject(reply);
}

static void check_commands(int port) {
  redisContext* context = connect_to(port);
  const char binary[] = {'a', 0, '\r', '\n', 'b'};
  expect_text(context, redisCommand(context, "SET %s %b", "c:bin", binary, sizeof binary), "SET of bytes",
              REDIS_REPLY_STATUS, "OK");
  redisReply* reply =
      checked(context, redisCommand(context, "GET c:bin"), "GET of bytes", REDIS_REPLY_STRING);
  if (reply->len != sizeof binary || memcmp(reply->str, binary, sizeof binary) != 0)
    fail("GET of bytes", "other bytes");
  freeReplyObject(reply);
  freeReplyObject(checked(context, redisCommand(context, "GET c:none"), "GET of nothing", REDIS_REPLY_NIL));
  expect_text(context, redisCommand(context, "INCR c:bin"), "an error reply", REDIS_REPLY_ERROR,
              "ERR value is not an integer or out of range");
  expect_text(context, redisCommand(context, "SELECT 4"), "SELECT", REDIS_REPLY_STATUS, "OK");
  freeReplyObject(checked(context, redisCommand(context, "GET c:bin"), "another database", REDIS_REPLY_NIL));
  redisFree(context);
  held("commands");
}

static void check_pipeline(int port) {
  redisContext* context = connect_to(port);
  expect_number(context, redisCommand(context, "EXISTS c:n"), "an absent counter", 0);
  for (int i = 0; i < PIPELINED; i++) redisAppendCommand(context, "INCR c:n");
  for (int i = 0; i < PIPELINED; i++) {
    void* reply = NULL;
    if (redisGetReply(context, &reply) != REDIS_OK) fail("pipeline", context->errstr);
    expect_number(context, reply, "pipeline", i + 1);
  }
  redisFree(context);
  held("pipeline");
}

static void check_transaction(int port) {
  redisContext* context = connect_to(port);
  redisContext* rival = connect_to(port);
  expect_text(context, redisCommand(context, "WATCH c:t"), "WATCH", REDIS_REPLY_STATUS, "OK");
  expect_text(rival, redisCommand(rival, "SET c:t rival"), "the rival's SET", REDIS_REPLY_STATUS, "OK");
  expect_text(context, redisCommand(context, "MULTI"), "MULTI", REDIS_REPLY_STATUS, "OK");
  expect_text(context, redisCommand(context, "SET c:t mine"), "SET in MULTI", REDIS_REPLY_STATUS, "QUEUED");
  freeReplyObject(checked(context, redisCommand(context, "EXEC"), "EXEC after a conflict", REDIS_REPLY_NIL));
  expect_text(context, redisCommand(context, "MULTI"), "MULTI", REDIS_REPLY_STATUS, "OK");
  expect_text(context, redisCommand(context, "APPEND c:t %s", "!"), "APPEND in MULTI", REDIS_REPLY_STATUS,
              "QUEUED");
  redisReply* reply = checked(context, redisCommand(context, "EXEC"), "EXEC", REDIS_REPLY_ARRAY);
  if (reply->elements != 1 || reply->element[0]->integer != 6) fail("EXEC", "another result");
  freeReplyObject(reply);
  redisFree(rival);
  redisFree(context);
  held("transaction");
}

static void check_big_value(int port) {
  redisContext* context = connect_to(port);
  char* value = malloc(BIG_BYTES);
  if (value == NULL) fail("big value", "no memory");
  for (size_t i = 0; i < BIG_BYTES; i++) value[i] = (char)(i * 31 + (i >> 12));
  expect_text(context, redisCommand(context, "SET c:big %b", value, (size_t)BIG_BYTES), "SET of a big value",
              REDIS_REPLY_STATUS, "OK");
  redisReply* reply =
      checked(context, redisCommand(context, "GET c:big"), "GET of a big value", REDIS_REPLY_STRING);
  if (reply->len != BIG_BYTES || memcmp(reply->str, value, BIG_BYTES) != 0)
    fail("GET of a big value", "other bytes");
  freeReplyObject(reply);
  free(value);
  redisFree(context);
  held("big value");
}

static void check_script_and_blocking(int port) {
  redisContext* context = connect_to(port);
  redisReply* sha = checked(context, redisCommand(context, "SCRIPT LOAD %s", "return {KEYS[1], ARGV[1], 7}"),
                            "SCRIPT LOAD", REDIS_REPLY_STRING);
  redisReply* reply =
      checked(context, redisCommand(context, "EVALSHA %s 1 c:k v", sha->str), "EVALSHA", REDIS_REPLY_ARRAY);
  if (reply->elements != 3 || strcmp(reply->element[1]->str, "v") != 0 || reply->element[2]->integer != 7)
    fail("EVALSHA", "another result");
  freeReplyObject(reply);
  freeReplyObject(sha);
  freeReplyObject(
      checked(context, redisCommand(context, "BLPOP c:empty 0.1"), "BLPOP of nothing", REDIS_REPLY_NIL));
  expect_number(context, redisCommand(context, "RPUSH c:list x"), "RPUSH", 1);
  reply = checked(context, redisCommand(context, "BLPOP c:list 5"), "BLPOP", REDIS_REPLY_ARRAY);
  if (reply->elements != 2 || strcmp(reply->element[1]->str, "x") != 0) fail("BLPOP", "another result");
  freeReplyObject(reply);
  redisFree(context);
  held("script and blocking pop");
}

/* An event loop of one poll(): hiredis tells through the hooks what it waits for. */
struct loop {
  redisAsyncContext* context;
  short wanted;
  int answered;
  int messages;
  int disconnected;
};

static void want_read(void* data) {
  ((struct loop*)data)->wanted |= POLLIN;
}
static void want_no_read(void* data) {
  ((struct loop*)data)->wanted &= (short)~POLLIN;
}
static void want_write(void* data) {
  ((struct loop*)data)->wanted |= POLLOUT;
}
static void want_no_write(void* data) {
  ((struct loop*)data)->wanted &= (short)~POLLOUT;
}

static void on_disconnect(const redisAsyncContext* context, int status) {
  struct loop* loop = context->data;
  if (status != REDIS_OK) fail("asynchronous connection", context->errstr);
  loop->disconnected = 1;
  loop->context = NULL;
}

static void loop_start(struct loop* loop, int port) {
  memset(loop, 0, sizeof *loop);
  loop->context = redisAsyncConnect("127.0.0.1", port);
  if (loop->context == NULL || loop->context->err) fail("asynchronous connect", "no connection");
  loop->context->data = loop;
  loop->context->ev.data = loop;
  loop->context->ev.addRead = want_read;
  loop->context->ev.delRead = want_no_read;
  loop->context->ev.addWrite = want_write;
  loop->context->ev.delWrite = want_no_write;
  loop->wanted = POLLOUT;
  redisAsyncSetDisconnectCallback(loop->context, on_disconnect);
}

static void loop_until(struct loop* loop, const int* counter, int target, const char* what) {
  time_t deadline = time(NULL) + SECONDS_MAX;
  while (*counter < target) {
    if (time(NULL) > deadline) fail(what, "too slow");
    struct pollfd descriptor = {loop->context->c.fd, loop->wanted, 0};
    if (poll(&descriptor, 1, 1000) <= 0) continue;
    if (descriptor.revents & POLLOUT) redisAsyncHandleWrite(loop->context);
    if (loop->context != NULL && descriptor.revents & (POLLIN | POLLHUP | POLLERR))
      redisAsyncHandleRead(loop->context);
  }
}

static void on_incremented(redisAsyncContext* context, void* answer, void* number) {
  struct loop* loop = context->data;
  redisReply* reply = answer;
  if (reply == NULL || reply->integer != loop->answered + 1 || number != &loop->answered)
    fail("asynchronous INCR", "order");
  loop->answered++;
}

static void on_message(redisAsyncContext* context, void* answer, void* unused) {
  struct loop* loop = context->data;
  redisReply* reply = answer;
  (void)unused;
  /* A disconnect that was asked for ends the subscription with a null reply. */
  if (reply == NULL) return;
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
    fail("subscription", "another kind of message");
  loop->messages++;
}

static void check_asynchronous(int port) {
  struct loop loop;
  loop_start(&loop, port);
  for (int i = 0; i < ASYNC_COMMANDS; i++)
    redisAsyncCommand(loop.context, on_incremented, &loop.answered, "INCR c:async");
  loop_until(&loop, &loop.answered, ASYNC_COMMANDS, "asynchronous commands");
  redisAsyncDisconnect(loop.context);
  if (!loop.disconnected) fail("asynchronous disconnect", "still there");
  held("asynchronous commands");

  loop_start(&loop, port);
  redisAsyncCommand(loop.context, on_message, NULL, "SUBSCRIBE c:news");
  loop_until(&loop, &loop.messages, 1, "the subscription");
  redisContext* publisher = connect_to(port);
  for (int i = 0; i < 100; i++)
    expect_number(publisher, redisCommand(publisher, "PUBLISH c:news %d", i), "PUBLISH", 1);
  loop_until(&loop, &loop.messages, 101, "the messages");
  redisAsyncFree(loop.context);
  redisFree(publisher);
  held("subscription");
}

int main(int count, char** arguments) {
  if (count != 2) {
    fprintf(stderr, "usage: hiredis_client PORT\n");
    return 2;
  }
  int port = atoi(arguments[1]);
  check_commands(port);
  check_pipeline(port);
  check_transaction(port);
  check_big_value(port);
  check_script_and_blocking(port);
  check_asynchronous(port);
  return 0;
}
