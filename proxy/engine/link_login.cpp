#include "proxy/engine/link_login.hpp"

#include "resp/server_error.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

namespace {

void append_auth(std::string& packet, const health::Login& login) {
  if (login.username.empty()) {
    resp::append_command(packet, {"AUTH", login.password});
  } else {
    resp::append_command(packet, {"AUTH", login.username, login.password});
  }
}

}  // namespace

std::string LinkLogin::begin(const health::Login& login, const health::Login* first, resp::Version version,
                             std::uint32_t db, LinkUse use) {
  std::string packet;
  count_ = next_ = 0;
  server_client_id_ = 0;
  error_.clear();
  selected_ = false;
  if (first != nullptr && db != 0) {
    if (!first->password.empty()) {
      steps_[count_++] = Step::first_auth;
      append_auth(packet, *first);
    }
    steps_[count_++] = Step::first_select;
    resp::append_command(packet, {"SELECT", std::to_string(db)});
  }
  if (!login.password.empty()) {
    steps_[count_++] = Step::auth;
    append_auth(packet, login);
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
    // A user who may not ask ROLE, or who comes while a script runs, still writes to a server that the
    // Monitor has verified.
    const bool unasked = kind == resp::ServerErrorKind::no_perm || kind == resp::ServerErrorKind::busy;
    if (step == Step::role && unasked) return LoginResult::ready;
    // The user's own SELECT decides then.
    if (step == Step::first_auth || step == Step::first_select) return LoginResult::in_progress;
    if (step == Step::select && selected_) return LoginResult::in_progress;
    if (step == Step::select && kind == resp::ServerErrorKind::busy) return LoginResult::busy;
    // Nor is a link worse whose name nobody knows: its client cannot be unblocked, that is all.
    if (step == Step::client_id) return LoginResult::in_progress;
    if (step == Step::hello) return LoginResult::no_protocol;
    return step == Step::select ? LoginResult::bad_database : LoginResult::refused;
  }
  if (step == Step::first_select) selected_ = true;
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
