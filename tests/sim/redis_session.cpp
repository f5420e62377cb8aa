#include "tests/sim/redis_session.hpp"

#include <charconv>
#include <cstdlib>

#include "resp/writer.hpp"
#include "tests/sim/redis_node.hpp"
#include "tests/sim/world.hpp"

namespace fairlead::sim {

namespace {

bool is_write(std::string_view name) {
  return name == "SET" || name == "RPUSH" || name == "HINCRBY" || name == "EVAL" || name == "MODCMD" ||
         name == "BLPOP";
}

constexpr std::string_view no_replicas = "NOREPLICAS Not enough good replicas to write.";

bool works_while_loading(std::string_view name) {
  return name == "ROLE" || name == "INFO" || name == "HELLO" || name == "SELECT" || name == "CLIENT" ||
         name == "AUTH" || name == "MULTI" || name == "DISCARD" || name == "UNWATCH" || name == "WATCH" ||
         name == "SUBSCRIBE" || name == "UNSUBSCRIBE" || name == "COMMAND";
}

/// Where the data has a field of a hash.
std::string field_of(std::string_view key, std::string_view field) {
  return std::string(key).append(":").append(field);
}

}  // namespace

Handlers RedisSession::handlers() {
  Handlers handlers;
  handlers.bytes = [this](std::string_view bytes) { on_bytes(bytes); };
  handlers.ended = [this](Ending) { node_.forget_session(*this); };
  return handlers;
}

void RedisSession::on_bytes(std::string_view bytes) {
  inbox_.add(bytes);
  work();
}

void RedisSession::work() {
  // A blocked client's next commands are not read before it is served.
  while (blocked_on_.empty() && !inbox_.empty()) {
    const Words words = inbox_.next();
    if (words.empty()) break;
    handle(words);
  }
  if (!inbox_.broken().empty()) node_.world().fail(inbox_.broken());
  flush_output();
}

void RedisSession::flush_output() {
  if (out_.empty()) return;
  node_.world().network().send(key_, End::acceptor, std::exchange(out_, {}));
}

void RedisSession::handle(Words words) {
  const std::string_view name = words.front();
  if (handle_connection(words) || handle_transaction(words)) return;
  if (refuse(words) || handle_subscription(words)) return;
  if (in_multi_) {
    queued_.emplace_back(words.begin(), words.end());
    out_ += "+QUEUED\r\n";
  } else if (name == "BLPOP") {
    begin_blocking(words);
  } else {
    out_ += execute(words);
  }
}

bool RedisSession::handle_connection(Words words) {
  const std::string_view name = words.front();
  if (name == "HELLO") {
    version_ = words.size() > 1 && words[1] == "3" ? resp::Version::resp3 : resp::Version::resp2;
    resp::append_map_header(out_, 2, version_);
    resp::append_bulk(out_, "server");
    resp::append_bulk(out_, "redis");
    resp::append_bulk(out_, "proto");
    resp::append_integer(out_, version_ == resp::Version::resp3 ? 3 : 2);
  } else if (name == "SELECT" && !in_multi_) {
    db_ = words[1];
    out_ += "+OK\r\n";
  } else if (name == "ROLE") {
    out_ += node_.role_reply();
  } else if (name == "INFO") {
    out_ += node_.info_reply();
  } else if (name == "CLIENT" && !in_multi_) {
    handle_client(words);
  } else if (name == "COMMAND") {
    error("NOPERM this user has no permissions to run the 'command' command");
  } else if (name == "PING" && !node_.loading()) {
    out_ += "+PONG\r\n";
  } else {
    return false;
  }
  return true;
}

void RedisSession::handle_client(Words words) {
  if (words.size() > 1 && words[1] == "ID") {
    resp::append_integer(out_, static_cast<std::int64_t>(id_));
  } else if (words.size() > 2 && words[1] == "UNBLOCK") {
    std::uint64_t id = 0;
    static_cast<void>(std::from_chars(words[2].data(), words[2].data() + words[2].size(), id));
    RedisSession* session = node_.find_client(id);
    const bool blocked = session != nullptr && !session->blocked_on_.empty();
    if (blocked && words.back() == "ERROR") {
      session->error("UNBLOCKED client unblocked via CLIENT UNBLOCK");
      session->end_blocking();
    } else if (blocked) {
      session->on_block_timeout(session->blocks_);
    }
    resp::append_integer(out_, blocked ? 1 : 0);
  } else {
    out_ += "+OK\r\n";
  }
}

bool RedisSession::handle_transaction(Words words) {
  const std::string_view name = words.front();
  if (name == "MULTI" && !in_multi_) {
    in_multi_ = true;
    out_ += "+OK\r\n";
  } else if (name == "WATCH" && !in_multi_) {
    for (std::size_t i = 1; i < words.size(); ++i) {
      watched_.try_emplace(full_key(words[i]), node_.data().version(full_key(words[i])));
    }
    out_ += "+OK\r\n";
  } else if (name == "UNWATCH" && !in_multi_) {
    watched_.clear();
    out_ += "+OK\r\n";
  } else if (name == "EXEC" && in_multi_) {
    execute_queue();
  } else if (name == "DISCARD" && in_multi_) {
    out_ += "+OK\r\n";
    in_multi_ = dirty_ = false;
    queued_.clear();
    watched_.clear();
  } else if (name == "EXEC" || name == "DISCARD" || name == "MULTI") {
    error(std::string("ERR ").append(name).append(" out of place"));
  } else {
    return false;
  }
  return true;
}

bool RedisSession::watched_changed() const {
  for (const auto& [key, version] : watched_) {
    if (node_.data().version(key) != version) return true;
  }
  return false;
}

void RedisSession::execute_queue() {
  const auto commands = std::exchange(queued_, {});
  const bool changed = watched_changed();
  watched_.clear();
  in_multi_ = false;
  bool writes = false;
  for (const auto& command : commands) writes = writes || is_write(command.front());
  if (std::exchange(dirty_, false)) {
    error("EXECABORT Transaction discarded because of previous errors.");
  } else if (node_.loading()) {
    error("EXECABORT Transaction discarded because of: LOADING Redis is loading the dataset in memory");
  } else if (writes && node_.lacks_replicas()) {
    error(std::string("EXECABORT Transaction discarded because of: ").append(no_replicas));
  } else if (writes && !node_.is_master()) {
    // A transaction queued as a master and ended as a replica: processCommand refuses the EXEC itself.
    error(
        "EXECABORT Transaction discarded because of: READONLY You can't write against a read only replica.");
  } else if (changed) {
    resp::append_null_array(out_, version_);
  } else {
    resp::append_array_header(out_, commands.size());
    for (const auto& command : commands) {
      const std::vector<std::string_view> words(command.begin(), command.end());
      out_ += execute(words);
    }
  }
}

bool RedisSession::refuse(Words words) {
  const std::string_view name = words.front();
  if (is_write(name) && node_.lacks_replicas()) {
    error(no_replicas);
  } else if (node_.loading() && !works_while_loading(name)) {
    error("LOADING Redis is loading the dataset in memory");
  } else if (is_write(name) && !node_.is_master()) {
    error("READONLY You can't write against a read only replica.");
  } else {
    return false;
  }
  dirty_ = in_multi_;
  return true;
}

bool RedisSession::handle_subscription(Words words) {
  const std::string_view name = words.front();
  if (name != "SUBSCRIBE" && name != "UNSUBSCRIBE") return false;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (name == "SUBSCRIBE") {
      channels_.emplace(words[i]);
    } else {
      channels_.erase(std::string(words[i]));
    }
    resp::append_push_header(out_, 3, version_);
    resp::append_bulk(out_, name == "SUBSCRIBE" ? "subscribe" : "unsubscribe");
    resp::append_bulk(out_, words[i]);
    resp::append_integer(out_, static_cast<std::int64_t>(channels_.size()));
  }
  return true;
}

bool RedisSession::push_message(std::string_view channel, std::string_view message) {
  if (channels_.count(channel) == 0) return false;
  resp::append_push_header(out_, 3, version_);
  resp::append_bulk(out_, "message");
  resp::append_bulk(out_, channel);
  resp::append_bulk(out_, message);
  flush_output();
  return true;
}

std::string RedisSession::execute(Words words) {
  const std::string_view name = words.front();
  std::string reply;
  if (is_write(name)) return execute_write(words);
  if (name == "GET" && words.size() == 2) {
    // Keys of the form t:x always have a value that names them, so that a reply shows whose it is.
    if (words[1].substr(0, 2) == "t:") {
      resp::append_bulk(reply, std::string("v:").append(words[1].substr(2)));
    } else if (const std::string* text = node_.data().text(full_key(words[1]))) {
      resp::append_bulk(reply, *text);
    } else {
      resp::append_null(reply, version_);
    }
  } else if (name == "PUBLISH" && words.size() == 3) {
    resp::append_integer(reply, static_cast<std::int64_t>(node_.publish(words[1], words[2])));
  } else if (name == "WAIT") {
    resp::append_integer(reply, 0);
  } else {
    reply.append("-ERR unknown command '").append(name).append("'\r\n");
  }
  return reply;
}

/// The value of every write is a tag; `EVAL script 1 key tag` and `MODCMD key tag` push it, as RPUSH does.
std::string RedisSession::execute_write(Words words) {
  const std::string_view name = words.front();
  const bool script = name == "EVAL";
  std::string reply;
  if (name == "BLPOP") {  // inside a transaction it does not block
    const std::string* value = node_.data().front(full_key(words[1]));
    if (value == nullptr) return null_array();
    const std::string popped = *value;
    const WriteNumber number = node_.world().ledger().popped(popped, node_.index());
    node_.apply_and_replicate({number, Change::pop, full_key(words[1]), popped});
    resp::append_array_header(reply, 2);
    resp::append_bulk(reply, words[1]);
    resp::append_bulk(reply, popped);
    return reply;
  }
  if (words.size() < 3) return "-ERR wrong number of arguments\r\n";
  const std::string_view tag = words[script ? 4 : 2];
  const std::string key = full_key(words[script ? 3 : 1]);
  Change change = Change::push;
  if (name == "SET") {
    change = Change::set;
    reply = "+OK\r\n";
  } else if (name == "HINCRBY") {
    // The field is the tag: whoever increments it a second time reads 2.
    change = Change::increment;
    resp::append_integer(reply, node_.data().number(field_of(key, tag)) + 1);
  } else if (name == "RPUSH") {
    resp::append_integer(reply, static_cast<std::int64_t>(node_.data().list_size(key) + 1));
  } else {
    resp::append_bulk(reply, tag);
  }
  if (node_.world().traces()) {
    node_.world().trace("server " + std::to_string(node_.index()) + " executes " + std::string(tag));
  }
  const WriteNumber number = node_.world().ledger().executed(tag, node_.index(), reply);
  node_.apply_and_replicate(
      {number, change, change == Change::increment ? field_of(key, tag) : key, std::string(tag)});
  if (change == Change::push) node_.serve_blocked(key);
  return reply;
}

// --- Blocking

void RedisSession::begin_blocking(Words words) {
  const std::string key = full_key(words[1]);
  if (node_.data().list_size(key) > 0) {
    out_ += execute_write(words);
    return;
  }
  blocked_on_ = key;
  blocked_key_ = words[1];
  node_.block(*this);
  ++blocks_;
  const double seconds = std::strtod(std::string(words.back()).c_str(), nullptr);
  if (seconds <= 0) return;
  node_.world().schedule().after(Microseconds(static_cast<std::int64_t>(seconds * 1e6)),
                                 [&node = node_, id = id_, block = blocks_, life = node_.run_id()] {
                                   if (!node.alive() || node.run_id() != life) return;
                                   if (RedisSession* found = node.find_client(id))
                                     found->on_block_timeout(block);
                                 });
}

void RedisSession::on_block_timeout(std::uint64_t block) {
  if (blocked_on_.empty() || block != blocks_) return;
  out_ += null_array();
  end_blocking();
}

void RedisSession::pop_and_answer() {
  const std::string_view words[] = {"BLPOP", blocked_key_, "0"};
  out_ += execute_write(words);
  end_blocking();
}

void RedisSession::force_unblock() {
  error("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)");
  end_blocking();
}

void RedisSession::end_blocking() {
  node_.unblock(*this);
  blocked_on_.clear();
  flush_output();
  // What it said meanwhile comes next, but not from inside whoever woke it.
  node_.world().schedule().after(Microseconds(0), [&node = node_, id = id_, life = node_.run_id()] {
    if (!node.alive() || node.run_id() != life) return;
    if (RedisSession* found = node.find_client(id)) found->work();
  });
}

std::string RedisSession::null_array() const {
  std::string reply;
  resp::append_null_array(reply, version_);
  return reply;
}

}  // namespace fairlead::sim
