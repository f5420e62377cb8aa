#include "proxy/engine/link_login.hpp"

#include "resp/server_error.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

std::string LinkLogin::begin(const health::Login& login, resp::Version version, std::uint32_t db,
                             LinkUse use) {
  std::string packet;
  count_ = next_ = 0;
  server_client_id_ = 0;
  error_.clear();
  if (!login.password.empty()) {
    steps_[count_++] = Step::auth;
    if (login.username.empty()) {
      resp::append_command(packet, {"AUTH", login.password});
    } else {
      resp::append_command(packet, {"AUTH", login.username, login.password});
    }
  }
  if (version == resp::Version::resp3) {
    steps_[count_++] = Step::hello;
    resp::append_command(packet, {"HELLO", "3"});
  }
  if (db != 0) {
    steps_[count_++] = Step::select;
    resp::append_command(packet, {"SELECT", std::to_string(db)});
  }
  if (use == LinkUse::leased) {
    steps_[count_++] = Step::client_id;
    resp::append_command(packet, {"CLIENT", "ID"});
  }
  steps_[count_++] = Step::role;
  resp::append_command(packet, {"ROLE"});
  return packet;
}

LoginResult LinkLogin::on_reply(const resp::ReplyScanner& reply) {
  if (next_ >= count_) return LoginResult::refused;
  const Step step = steps_[next_++];
  if (reply.is_error()) {
    error_ = reply.error_text();
    const resp::ServerErrorKind kind = resp::parse_server_error(error_).kind;
    if (kind == resp::ServerErrorKind::loading || kind == resp::ServerErrorKind::master_down) {
      return LoginResult::loading;
    }
    // A user who may not ask ROLE still writes to a server that the Monitor has verified.
    if (step == Step::role && kind == resp::ServerErrorKind::no_perm) return LoginResult::ready;
    // Nor is a link worse whose name nobody knows: its client cannot be unblocked, that is all.
    if (step == Step::client_id) return LoginResult::in_progress;
    if (step == Step::hello) return LoginResult::no_protocol;
    return step == Step::select ? LoginResult::bad_database : LoginResult::refused;
  }
  if (step == Step::client_id && reply.type() == ':') {
    server_client_id_ = static_cast<std::uint64_t>(reply.last_integer());
  }
  if (step == Step::role && reply.head() != "master") {
    error_ = "ROLE says " + std::string(reply.head());
    return LoginResult::not_master;
  }
  return next_ == count_ ? LoginResult::ready : LoginResult::in_progress;
}

}  // namespace fairlead::engine
