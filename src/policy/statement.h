/* Statements: what a device may do, as policy documents in the grammar of AWS IoT:
 *   {"Version":"2012-10-17","Statement":[{"Sid":"own","Effect":"Allow","Action":["publish","receive"],
 *    "Resource":"topic/${registry}/${device}/" and then a star}]}
 * Reads and checks a document; compiles all documents that concern one connection into one
 * immutable value; decides from it. A Deny that matches wins, then an Allow that matches; what
 * nothing allows is denied.
 *
 * Actions: connect publish subscribe receive retain, or AWS's iot:Connect iot:Publish iot:Subscribe
 * iot:Receive iot:RetainPublish (letters of either case, wildcards allowed); other actions of AWS's
 * are taken and have no effect here. Resources: client/ID, topic/TOPIC, filter/FILTER and the star,
 * or AWS's arn:aws:iot:REGION:ACCOUNT:client/, :topic/, :topicfilter/, where region and account are
 * not compared. `*` is any run of bytes, slashes too, `?` one character. MQTT's + and # are
 * letters like any other: a subscription is compared as the text of its filter. Variables:
 * ${tenant} ${registry} ${device} ${client} ${source} ${server} ${attribute.NAME}, of AWS's
 * ${iot:ClientId} ${iot:Connection.Thing.ThingName} ${iot:Connection.Thing.Attributes[NAME]}
 * ${iot:Connection.Thing.IsAttached} (always true) ${aws:SourceIp} ${iot:DomainName}, and of a
 * certificate ${certificate.Subject.CommonName} or ${iot:Certificate.Subject.CommonName} and its
 * other names;
 * ${*} ${?} ${$} are those letters themselves. What is put in for a variable is literal: no star in
 * a client id is a wildcard. Variables need "Version": "2012-10-17"; with an older or no version ${
 * is text, as at AWS. NotAction and NotResource are served; Condition is refused, never passed
 * over.
 *
 * A variable without a value (unknown, absent, or of more than GH_STATEMENT_VALUE_BYTES_MAX bytes)
 * makes its resource match nothing, in a Deny too, as at AWS; `deny_unresolved` turns the Deny into
 * one that matches. An Allow with such a variable in NotResource matches nothing. A Deny on a
 * filter also denies it behind $share/GROUP/.
 *
 * Pure: no I/O, no store. Not for the rights of operators: that is policy/permission.h.
 * Memory: a gh_statements owns all it needs and is shared by reference. Threads: any; any number of
 * threads may decide from one value at a time. */
#ifndef GH_POLICY_STATEMENT_H
#define GH_POLICY_STATEMENT_H

#include "base/error.h"
#include "store/records.h"

enum {
    GH_STATEMENT_DOCUMENT_BYTES_MAX = 20 * 1024,
    GH_STATEMENT_STATEMENTS_MAX = 100,      /* of a document */
    GH_STATEMENT_LIST_MAX = 100,            /* actions or resources of a statement */
    GH_STATEMENT_RESOURCE_BYTES_MAX = 1024, /* as written */
    GH_STATEMENT_SID_BYTES_MAX = 128,
    GH_STATEMENT_VALUE_BYTES_MAX = 1024, /* of a variable; a longer one counts as absent */
    GH_STATEMENT_DOCUMENTS_MAX = 160,    /* compiled together */
    GH_STATEMENT_WARNINGS_MAX = 32,
    GH_STATEMENT_WARNING_BYTES_MAX = 256,
};

enum gh_device_action {
    GH_DEVICE_ACTION_CONNECT,   /* the resource is a client id */
    GH_DEVICE_ACTION_PUBLISH,   /* a topic; the will's too */
    GH_DEVICE_ACTION_SUBSCRIBE, /* a topic filter, $share/… as a whole */
    GH_DEVICE_ACTION_RECEIVE,   /* a topic: each delivery */
    GH_DEVICE_ACTION_RETAIN,    /* a topic: asked beside PUBLISH when RETAIN is set */
    GH_DEVICE_ACTION_COUNT,
};
/* "publish"; static. */
const char *gh_device_action_name(enum gh_device_action action);
/* The native name or AWS's ("iot:Publish"), letters of either case. */
GH_MUST_USE bool gh_device_action_find(struct gh_slice name, enum gh_device_action *out);

/* --- checking a document ------------------------------------------------------------------------
 */

/* What is allowed to be written and is probably not meant. */
struct gh_statement_warning {
    size_t statement; /* from 1; 0: the document as a whole */
    char text[GH_STATEMENT_WARNING_BYTES_MAX];
};
struct gh_statement_report {
    size_t statements;
    size_t warnings_count; /* at most the maximum; the first ones */
    struct gh_statement_warning warnings[GH_STATEMENT_WARNINGS_MAX];
};

/* GH_OK for a document that can be compiled. INVALID or LIMIT with statement and field in the
 * text, UNSUPPORTED for a Condition. `report` may be NULL; it is filled on GH_OK. */
GH_MUST_USE enum gh_error_code gh_statements_check(struct gh_slice document,
                                                   struct gh_statement_report *report,
                                                   struct gh_error *error);

/* --- compiling and deciding
 * -----------------------------------------------------------------------
 */

struct gh_statement_document {
    struct gh_slice name; /* for reasons: the policy's */
    struct gh_slice json;
};

/* The values of the variables. An empty slice is a value that is absent. */
struct gh_statement_variables {
    struct gh_slice tenant, registry, device, client;
    struct gh_slice source; /* the peer's address, without its port */
    struct gh_slice server; /* the host name that the peer asked for (SNI) */
    const struct gh_attribute *attributes;
    size_t attributes_count;
    /* What the certificate says that the connection proved, by AWS's names: "Subject.CommonName",
     * "Issuer.Organization", "SerialNumber", a second value "Subject.OrganizationalUnit.1". None
     * for another credential. */
    const struct gh_attribute *certificate;
    size_t certificate_count;
    bool deny_unresolved; /* a Deny whose resource has a variable without a value matches */
};

struct gh_statements;

/* Compiles; nothing is borrowed afterwards. NULL with `error` for a document that does not pass
 * gh_statements_check (its name is in the text) or without memory. No documents deny everything. */
GH_MUST_USE struct gh_statements *
gh_statements_compile(const struct gh_statement_document *documents, size_t count,
                      const struct gh_statement_variables *variables, struct gh_error *error);
struct gh_statements *gh_statements_ref(struct gh_statements *statements); /* returns it */

/* A shelf: devices with the same documents share what was compiled of them, as long as one of them
 * has it, or nobody has asked for others; each keeps beside that its own values of the variables
 * that the documents mention. What is put on it is found by the digest of all names and documents,
 * so that a changed document is another one. Threads: any, a lock inside. */
struct gh_statements_shelf;
/* NULL without memory. */
GH_MUST_USE struct gh_statements_shelf *gh_statements_shelf_open(void);
/* Nobody has statements of it any more. */
void gh_statements_shelf_close(struct gh_statements_shelf *shelf); /* NULL is fine */
/* How many compiled sets of documents stand there. */
size_t gh_statements_shelf_count(struct gh_statements_shelf *shelf);
/* As gh_statements_compile, and it decides the same. Compiled for this device alone, and not
 * shared, is what has a variable without a value or more than eleven variables, what says by a
 * variable which kind of resource is meant, and all with `deny_unresolved`. */
GH_MUST_USE struct gh_statements *
gh_statements_share(struct gh_statements_shelf *shelf,
                    const struct gh_statement_document *documents, size_t count,
                    const struct gh_statement_variables *variables, struct gh_error *error);
void gh_statements_unref(struct gh_statements *statements); /* NULL is fine */
/* False when no document mentions the device, its attributes or the client: the value then serves
 * every device with the same documents in the same registry. */
bool gh_statements_personal(const struct gh_statements *statements);

enum gh_policy_outcome {
    GH_POLICY_NO_MATCH, /* nothing allows it */
    GH_POLICY_ALLOW,
    GH_POLICY_DENY, /* a statement denies it */
};
/* "no match", "allow", "deny"; static. */
const char *gh_policy_outcome_name(enum gh_policy_outcome outcome);

struct gh_policy_reason {
    enum gh_policy_outcome outcome;
    /* ALLOW and DENY: which statement decided; borrowed from the gh_statements. */
    struct gh_slice document;
    struct gh_slice sid; /* may be empty */
    size_t statement;    /* from 1 */
};

/* The decision. `resource` is the client id, topic or filter itself. `why` may be NULL. Allocates
 * nothing; linear in the resource for each pattern that is looked at. NULL statements deny. */
GH_MUST_USE bool gh_statements_allow(const struct gh_statements *statements,
                                     enum gh_device_action action, struct gh_slice resource,
                                     struct gh_policy_reason *why);

/* The variables that had no value, for the operator: such a statement does not match. Borrowed. */
struct gh_statement_unresolved {
    struct gh_slice document, variable;
    size_t statement; /* from 1 */
    bool denies;
};
const struct gh_statement_unresolved *
gh_statements_unresolved(const struct gh_statements *statements, size_t *count);
#endif
