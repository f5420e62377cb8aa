# The engine, stepped without sockets.
fairlead_unit_test(engine_tests
  SOURCES engine/buffers_test.cpp engine/engine_failover_test.cpp engine/engine_lease_test.cpp
          engine/engine_limits_test.cpp engine/engine_login_test.cpp engine/engine_shared_test.cpp engine/fuzz_findings_test.cpp
          engine/pure_parts_test.cpp engine/telemetry_test.cpp
  LIBS fairlead_engine)
