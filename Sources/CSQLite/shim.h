#ifndef FUSEBOX_CSQLITE_SHIM_H
#define FUSEBOX_CSQLITE_SHIM_H
#include <sqlite3.h>
// The header of extensions would turn every call into one through the host's table; under this name it only declares the table.
#define SQLITE_CORE 1
#include <sqlite3ext.h>
#undef SQLITE_CORE
#include <sqlite3ext.h>
/* The header of extensions turns every call into one through a table; here they stay calls. */

/// `sqlite3_db_config` is variadic, which Swift cannot call.
static inline int fusebox_sqlite_set_defensive(sqlite3 *db, int on) {
    return sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, on, (int *)0);
}

/// `sqlite3_vtab_config` is variadic. Marks the virtual table that is being connected as safe for views.
static inline int fusebox_sqlite_vtab_innocuous(sqlite3 *db) {
    return sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
}

/// `SQLITE_CORRUPT_VTAB` is an expression macro, which Swift does not import.
static const int FUSEBOX_SQLITE_CORRUPT_VTAB = SQLITE_CORRUPT_VTAB;

/// `SQLITE_TRANSIENT` is a cast, which Swift cannot import.
static inline sqlite3_destructor_type fusebox_sqlite_transient(void) {
    return SQLITE_TRANSIENT;
}

/// Whether the table of functions that a host gave its extension is that of the library which is called here: both know the same
/// text, not only an equal one.
static inline int fusebox_sqlite_is_host_library(const void *routines) {
    return routines && ((const sqlite3_api_routines *)routines)->sourceid() == sqlite3_sourceid();
}
#endif
