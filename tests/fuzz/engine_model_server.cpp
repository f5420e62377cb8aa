#include "tests/fuzz/engine_model_server.hpp"

#include "resp/writer.hpp"

namespace fairlead::fuzz {

std::string tag_of(const std::vector<std::string>& words) {
  for (std::size_t i = words.size(); i-- > 1;) {
    if (words[i].size() > 3 && words[i].front() == 't' && words[i].find('.') != std::string::npos) {
      return words[i];
    }
  }
  return {};
}

void ModelServer::receive(std::string_view bytes) {
  inbox_ += bytes;
  const resp::CommandLimits limits;
  resp::CommandScratch scratch;
  std::size_t taken = 0;
  while (taken < inbox_.size()) {
    resp::CommandReader reader(limits);
    const resp::CommandResult read =
        reader.read(std::string_view(inbox_).substr(taken), scratch, resp::LoginState::authenticated);
    if (read.status == resp::ReadStatus::need_more) break;
    if (read.status != resp::ReadStatus::command || !read.canonical) {
      broken("a link carries what is no canonical command");
    }
    Words words;
    for (std::uint32_t i = 0; i < read.command.size(); ++i) words.emplace_back(read.command[i]);
    taken += read.frame_bytes;
    note_arrival(words);
    pending_.push_back(std::move(words));
  }
  inbox_.erase(0, taken);
}

void ModelServer::note_arrival(const Words& words) {
  const std::string& name = words.front();
  const bool plain = words.size() == 1;
  if (name == "MULTI" && plain) {
    arriving_multi_ = true;
  } else if (arriving_multi_ && (name == "EXEC" || (name == "DISCARD" && plain))) {
    if (name == "EXEC" && plain) {
      for (const std::string& tag : arriving_) count(tag);
    }
    arriving_.clear();
    arriving_multi_ = false;
  } else if (const std::string tag = tag_of(words); !tag.empty()) {
    if (arriving_multi_) {
      arriving_.push_back(tag);
    } else {
      count(tag);
    }
  }
}

/// A write that this server will execute unless it refuses; told to the ledger once.
void ModelServer::count(const std::string& tag) {
  if (counted_.insert(tag).second) ledger_->arrived(tag);
}

void ModelServer::uncount(const std::string& tag) {
  if (counted_.erase(tag) > 0) ledger_->refused(tag);
}

void ModelServer::work(Mood mood) {
  if (pending_.empty()) return;
  const Words words = std::move(pending_.front());
  pending_.pop_front();
  if (refuse_subscriber(words.front())) {
    uncount(tag_of(words));
    if (words.front() == "MULTI") {
      // It began nothing: what came behind it stands for itself.
      arriving_.clear();
      arriving_multi_ = false;
      for (const Words& later : pending_) note_arrival(later);
    }
    return;
  }
  if (login_command(words, mood) || wrong_arity(words) || transaction_command(words)) return;
  if (refuse(words, mood) || subscription_command(words)) return;
  data_command(words);
}

bool ModelServer::login_command(const Words& words, Mood mood) {
  const std::string& name = words.front();
  if (name == "AUTH") {
    outbox += "+OK\r\n";
  } else if (name == "HELLO") {
    protocol_ = words.size() > 1 && words[1] == "3" ? 3 : 2;
    put_header('%', protocol_ == 3 ? 1 : 2);
    outbox += "$6\r\nserver\r\n$5\r\nredis\r\n";
  } else if (name == "ROLE") {
    if (mood == Mood::loading) {
      put_error("LOADING Redis is loading the dataset in memory");
    } else if (mood == Mood::replica) {
      outbox += "*5\r\n$5\r\nslave\r\n$1\r\nx\r\n:1\r\n$9\r\nconnected\r\n:1\r\n";
    } else {
      outbox += "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
    }
  } else if (name == "CLIENT" && words.size() == 2 && words[1] == "ID" && !in_multi_) {
    outbox += ":" + id_ + "\r\n";
  } else if (name == "CLIENT" && words.size() == 4 && words[1] == "UNBLOCK" && !in_multi_) {
    outbox += unblock_(words[2]) ? ":1\r\n" : ":0\r\n";
  } else if (name == "SELECT" && !in_multi_) {
    const bool known = words.size() == 2 && words[1].size() == 1;
    if (known) db_ = words[1];
    if (known) {
      outbox += "+OK\r\n";
    } else {
      put_error("ERR DB index is out of range");
    }
  } else {
    return false;
  }
  return true;
}

bool ModelServer::waits() const {
  const bool may_wait = !in_multi_ && (protocol_ == 3 || channels_.empty());
  return may_wait && !pending_.empty() && pending_.front().front() == "BLPOP";
}

bool ModelServer::give_back() {
  if (!waits()) return false;
  uncount(tag_of(pending_.front()));
  pending_.pop_front();
  put_error("UNBLOCKED client unblocked via CLIENT UNBLOCK");
  return true;
}

/// Redis' rule: inside MULTI it spoils the block, but for EXEC, which ends it.
bool ModelServer::wrong_arity(const Words& words) {
  const std::string& name = words.front();
  const bool alone = name == "MULTI" || name == "EXEC" || name == "DISCARD" || name == "UNWATCH";
  const bool with_more = name == "WATCH" || name == "SUBSCRIBE";
  if (!(alone && words.size() > 1) && !(with_more && words.size() < 2)) return false;
  if (name == "EXEC") {
    put_error("EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command");
    in_multi_ = dirty_ = false;
    queued_.clear();
    return true;
  }
  dirty_ = in_multi_;
  put_error("ERR wrong number of arguments for '" + name + "' command");
  return true;
}

bool ModelServer::transaction_command(const Words& words) {
  const std::string& name = words.front();
  if (name == "MULTI") {
    if (in_multi_) {
      put_error("ERR MULTI calls can not be nested");
    } else {
      in_multi_ = true;
      outbox += "+OK\r\n";
    }
  } else if (name == "EXEC" && !in_multi_) {
    put_error("ERR EXEC without MULTI");
  } else if (name == "DISCARD" && !in_multi_) {
    put_error("ERR DISCARD without MULTI");
  } else if (name == "EXEC" && dirty_) {
    for (const Words& command : queued_) uncount(tag_of(command));
    put_error("EXECABORT Transaction discarded because of previous errors.");
  } else if (name == "EXEC") {
    execute_queue();
  } else if (name == "DISCARD") {
    outbox += "+OK\r\n";
  } else if (name == "WATCH" || name == "UNWATCH") {
    outbox += in_multi_ && name == "UNWATCH" ? "+QUEUED\r\n" : "+OK\r\n";
    if (in_multi_ && name == "UNWATCH") queued_.push_back(words);
    return true;
  } else {
    return false;
  }
  if (name != "MULTI") {
    in_multi_ = dirty_ = false;
    queued_.clear();
  }
  return true;
}

void ModelServer::execute_queue() {
  outbox += "*" + std::to_string(queued_.size()) + "\r\n";
  for (const Words& command : queued_) {
    ledger_->executed(tag_of(command));
    outbox += answer_of(command);
  }
}

bool ModelServer::refuse(const Words& words, Mood mood) {
  const std::string& name = words.front();
  if (name == "PING" || name == "CLIENT") return false;
  const bool write = name == "SET" || name == "MODCMD" || name == "EVAL";
  switch (mood) {
    case Mood::execute:
    case Mood::replica:
      return false;
    case Mood::read_only:
      if (!write) return false;
      put_error("READONLY You can't write against a read only replica.");
      break;
    case Mood::loading:
      put_error("LOADING Redis is loading the dataset in memory");
      break;
    case Mood::master_down:
      put_error("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.");
      break;
    case Mood::plain_error:
      put_error("ERR no");
      break;
    case Mood::out_of_memory:
      put_error("OOM command not allowed when used memory > 'maxmemory'.");
      break;
  }
  dirty_ = in_multi_;
  // In a transaction it counts as arrived only when EXEC arrives; that EXEC is aborted, but for this one the
  // queue no longer tells.
  if (in_multi_) {
    queued_.push_back(words);
  } else {
    uncount(tag_of(words));
  }
  return true;
}

bool ModelServer::refuse_subscriber(const std::string& name) {
  if (protocol_ != 2 || channels_.empty()) return false;
  if (name == "SUBSCRIBE" || name == "UNSUBSCRIBE" || name == "PING") return false;
  put_error("ERR Can't execute '" + name + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET");
  return true;
}

void ModelServer::put_header(char resp3_type, std::size_t count) {
  outbox += (protocol_ == 3 ? resp3_type : '*') + std::to_string(count) + "\r\n";
}

void ModelServer::confirm(std::string_view kind, std::string_view channel, bool named) {
  put_header('>', 3);
  resp::append_bulk(outbox, kind);
  if (named) {
    resp::append_bulk(outbox, channel);
  } else {
    resp::append_null(outbox, protocol_ == 3 ? resp::Version::resp3 : resp::Version::resp2);
  }
  resp::append_integer(outbox, static_cast<std::int64_t>(channels_.size()));
}

bool ModelServer::subscription_command(const Words& words) {
  const std::string& name = words.front();
  if (name == "SUBSCRIBE") {
    for (std::size_t i = 1; i < words.size(); ++i) {
      channels_.insert(words[i]);
      confirm("subscribe", words[i], true);
    }
  } else if (name == "UNSUBSCRIBE" && words.size() > 1) {
    for (std::size_t i = 1; i < words.size(); ++i) {
      channels_.erase(words[i]);
      confirm("unsubscribe", words[i], true);
    }
  } else if (name == "UNSUBSCRIBE") {
    const std::set<std::string> all = channels_;
    for (const std::string& channel : all) {
      channels_.erase(channel);
      confirm("unsubscribe", channel, true);
    }
    if (all.empty()) confirm("unsubscribe", {}, false);
  } else {
    return false;
  }
  return true;
}

void ModelServer::publish(std::size_t which) {
  if (channels_.empty()) return;
  auto channel = channels_.begin();
  std::advance(channel, static_cast<std::ptrdiff_t>(which % channels_.size()));
  put_header('>', 3);
  resp::append_bulk(outbox, "message");
  resp::append_bulk(outbox, *channel);
  resp::append_bulk(outbox, "hello");
}

void ModelServer::data_command(const Words& words) {
  if (in_multi_) {
    queued_.push_back(words);
    outbox += "+QUEUED\r\n";
    return;
  }
  ledger_->executed(tag_of(words));
  outbox += answer_of(words);
}

/// Tag, database and protocol: what the client checks. Reads answer with a long value now and then.
std::string ModelServer::answer_of(const Words& words) {
  const std::string& name = words.front();
  std::string text;
  if (name == "PING" && protocol_ == 2 && !channels_.empty()) {
    text = "*2\r\n$4\r\npong\r\n";
    resp::append_bulk(text, words.size() > 1 ? words[1] : "");
    return text;
  }
  if (name == "PING") {
    if (words.size() > 1) {
      resp::append_bulk(text, words[1]);
    } else {
      text = "+PONG\r\n";
    }
    return text;
  }
  if (name == "WAIT") return ":0\r\n";
  if (name == "SELECT" && words.size() == 2 && words[1].size() == 1) db_ = words[1];
  if (name == "CLIENT" && words.size() > 2 && words[1] == "SETNAME") name_ = words[2];
  if (name == "CLIENT" && words.size() > 1 && words[1] == "GETNAME") {
    resp::append_bulk(text, name_);
    return text;
  }
  if (name == "CLIENT" || name == "SELECT" || name == "UNWATCH") return "+OK\r\n";
  const std::string tag = tag_of(words);
  if (tag.empty()) return "-ERR no tag in " + name + "\r\n";
  const std::string signature = tag + "@" + db_ + "@" + std::to_string(protocol_);
  if (name == "BLPOP") {
    text = "*2\r\n";
    resp::append_bulk(text, signature);
    resp::append_bulk(text, "value");
  } else if (name == "GETRANGE") {
    resp::append_bulk(text, signature + std::string(20000, 'v'));
  } else {
    resp::append_bulk(text, signature);
  }
  return text;
}

}  // namespace fairlead::fuzz
