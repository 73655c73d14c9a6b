/* One MQTT client of Eclipse Paho's C library, driven by lines on standard input: the test's
 * stand-in for a device that somebody else wrote. Fields are separated by tabs; topics, payloads
 * and texts are hexadecimal, "-" where there is none.
 *
 *   connect URI CLIENT VERSION CLEAN EXPIRY KEEPALIVE USER PASSWORD CA FOLDER WILLTOPIC WILLPAYLOAD
 * WILLQOS WILLRETAIN WILLDELAY subscribe FILTER QOS NOLOCAL unsubscribe FILTER publish TOPIC
 * PAYLOAD QOS RETAIN RESPONSETOPIC CORRELATION CONTENTTYPE NAME VALUE EXPIRY begin TOPIC PAYLOAD
 * QOS (does not wait for its acknowledgement) finish (waits for all of those) disconnect
 *
 * Each is answered by "ok …" or "error …"; a message that comes is a line "message TOPIC PAYLOAD
 * QOS RETAIN RESPONSETOPIC CORRELATION CONTENTTYPE NAME VALUE". FOLDER keeps what is in flight, so
 * that a killed client goes on where it was. */
#include <MQTTClient.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 20, TIMEOUT_MS = 20000, BEGUN_MAX = 10 };

static pthread_mutex_t printing = PTHREAD_MUTEX_INITIALIZER;
static MQTTClient client;
static int version;                               /* 4 or 5 */
static MQTTClient_deliveryToken begun[BEGUN_MAX]; /* oldest first */
static int begun_count;

static void print_hex(const char *data, size_t size)
{
    if (size == 0) {
        fputs("\t-", stdout);
        return;
    }
    putchar('\t');
    for (size_t i = 0; i < size; i++)
        printf("%02x", (unsigned char)data[i]);
}

static void answer(int code, const char *what)
{
    pthread_mutex_lock(&printing);
    printf(code == MQTTCLIENT_SUCCESS ? "ok\t%s\n" : "error\t%s\t%d\n", what, code);
    fflush(stdout);
    pthread_mutex_unlock(&printing);
}

/* Decodes in place; the result ends in a zero byte that is not counted. "-" is NULL. */
static char *unhex(char *field, int *size)
{
    size_t length = strlen(field) / 2;
    if (size != NULL)
        *size = 0;
    if (strcmp(field, "-") == 0)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        char pair[3] = {field[2 * i], field[2 * i + 1], 0};
        field[i] = (char)strtoul(pair, NULL, 16);
    }
    field[length] = 0;
    if (size != NULL)
        *size = (int)length;
    return field;
}

static void print_text(MQTTProperties *properties, enum MQTTPropertyCodes code, int name)
{
    MQTTProperty *property = MQTTProperties_hasProperty(properties, code)
                                 ? MQTTProperties_getProperty(properties, code)
                                 : NULL;
    if (property == NULL)
        print_hex("", 0);
    else if (name)
        print_hex(property->value.data.data, (size_t)property->value.data.len);
    else
        print_hex(property->value.value.data, (size_t)property->value.value.len);
}

static int arrived(void *context, char *topic, int topic_length, MQTTClient_message *message)
{
    (void)context;
    pthread_mutex_lock(&printing);
    fputs("message", stdout);
    print_hex(topic, topic_length > 0 ? (size_t)topic_length : strlen(topic));
    print_hex(message->payload, (size_t)message->payloadlen);
    printf("\t%d\t%d", message->qos, message->retained);
    print_text(&message->properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC, 1);
    print_text(&message->properties, MQTTPROPERTY_CODE_CORRELATION_DATA, 1);
    print_text(&message->properties, MQTTPROPERTY_CODE_CONTENT_TYPE, 1);
    print_text(&message->properties, MQTTPROPERTY_CODE_USER_PROPERTY, 1);
    print_text(&message->properties, MQTTPROPERTY_CODE_USER_PROPERTY, 0);
    putchar('\n');
    fflush(stdout);
    pthread_mutex_unlock(&printing);
    MQTTClient_freeMessage(&message);
    MQTTClient_free(topic);
    return 1;
}

static void lost(void *context, char *cause)
{
    (void)context;
    (void)cause;
    pthread_mutex_lock(&printing);
    puts("lost");
    fflush(stdout);
    pthread_mutex_unlock(&printing);
}

static void add_text(MQTTProperties *properties, enum MQTTPropertyCodes code, char *hex)
{
    MQTTProperty property = {.identifier = code};
    char *text = unhex(hex, &property.value.data.len);
    if (text == NULL)
        return;
    property.value.data.data = text;
    MQTTProperties_add(properties, &property);
}

static void add_number(MQTTProperties *properties, enum MQTTPropertyCodes code, const char *number)
{
    MQTTProperty property = {.identifier = code};
    if (strcmp(number, "-") == 0)
        return;
    property.value.integer4 = (unsigned)strtoul(number, NULL, 10);
    MQTTProperties_add(properties, &property);
}

static void connect_client(char **f)
{
    MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
    MQTTClient_connectOptions v3 = MQTTClient_connectOptions_initializer;
    MQTTClient_connectOptions v5 = MQTTClient_connectOptions_initializer5;
    MQTTClient_SSLOptions ssl = MQTTClient_SSLOptions_initializer;
    MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
    MQTTProperties properties = MQTTProperties_initializer,
                   will_properties = MQTTProperties_initializer;
    int clean = atoi(f[4]), code;

    version = atoi(f[3]);
    create.MQTTVersion = version == 5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    code =
        MQTTClient_createWithOptions(&client, unhex(f[1], NULL), unhex(f[2], NULL),
                                     MQTTCLIENT_PERSISTENCE_DEFAULT, unhex(f[10], NULL), &create);
    if (code == MQTTCLIENT_SUCCESS)
        code = MQTTClient_setCallbacks(client, NULL, lost, arrived, NULL);
    if (code != MQTTCLIENT_SUCCESS) {
        answer(code, "create");
        return;
    }
    MQTTClient_connectOptions *options = version == 5 ? &v5 : &v3;
    options->keepAliveInterval = atoi(f[6]);
    options->connectTimeout = TIMEOUT_MS / 1000;
    options->MQTTVersion = create.MQTTVersion;
    options->maxInflightMessages = 20;
    if (version == 5)
        options->cleanstart = clean;
    else
        options->cleansession = clean;
    options->username = unhex(f[7], NULL);
    options->password = unhex(f[8], NULL);
    if ((ssl.trustStore = unhex(f[9], NULL)) != NULL) {
        ssl.enableServerCertAuth = ssl.verify = 1;
        options->ssl = &ssl;
    }
    if ((will.topicName = unhex(f[11], NULL)) != NULL) {
        will.payload.data = unhex(f[12], &will.payload.len);
        will.qos = atoi(f[13]);
        will.retained = atoi(f[14]);
        options->will = &will;
        if (version == 5)
            add_number(&will_properties, MQTTPROPERTY_CODE_WILL_DELAY_INTERVAL, f[15]);
    }
    if (version == 5) {
        add_number(&properties, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, f[5]);
        MQTTResponse response = MQTTClient_connect5(client, options, &properties,
                                                    options->will ? &will_properties : NULL);
        code = response.reasonCode;
        MQTTResponse_free(response);
    } else
        code = MQTTClient_connect(client, options);
    answer(code, "connect");
    MQTTProperties_free(&properties);
    MQTTProperties_free(&will_properties);
}

static void subscribe(char **f)
{
    MQTTSubscribe_options options = MQTTSubscribe_options_initializer;
    char *filter = unhex(f[1], NULL);
    int qos = atoi(f[2]), code;

    options.noLocal = (unsigned char)atoi(f[3]);
    if (version == 5) {
        MQTTResponse response = MQTTClient_subscribe5(client, filter, qos, &options, NULL);
        code = response.reasonCode >= 0x80 || response.reasonCode < 0 ? response.reasonCode
                                                                      : MQTTCLIENT_SUCCESS;
        MQTTResponse_free(response);
    } else
        code = MQTTClient_subscribe(client, filter, qos);
    answer(code, "subscribe");
}

static void publish(char **f)
{
    MQTTClient_message message = MQTTClient_message_initializer;
    MQTTClient_deliveryToken token = 0;
    MQTTProperty pair = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
    char *topic = unhex(f[1], NULL);
    int code;

    message.payload = unhex(f[2], &message.payloadlen);
    message.qos = atoi(f[3]);
    message.retained = atoi(f[4]);
    if (version == 5) {
        add_text(&message.properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC, f[5]);
        add_text(&message.properties, MQTTPROPERTY_CODE_CORRELATION_DATA, f[6]);
        add_text(&message.properties, MQTTPROPERTY_CODE_CONTENT_TYPE, f[7]);
        if ((pair.value.data.data = unhex(f[8], &pair.value.data.len)) != NULL) {
            pair.value.value.data = unhex(f[9], &pair.value.value.len);
            MQTTProperties_add(&message.properties, &pair);
        }
        add_number(&message.properties, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL, f[10]);
        MQTTResponse response = MQTTClient_publishMessage5(client, topic, &message, &token);
        code = response.reasonCode;
        MQTTResponse_free(response);
    } else
        code = MQTTClient_publishMessage(client, topic, &message, &token);
    if (code == MQTTCLIENT_SUCCESS && message.qos > 0)
        code = MQTTClient_waitForCompletion(client, token, TIMEOUT_MS);
    answer(code, "publish");
    MQTTProperties_free(&message.properties);
}

static int wait_for_oldest(void)
{
    int code = MQTTClient_waitForCompletion(client, begun[0], TIMEOUT_MS);
    memmove(begun, begun + 1, (size_t)--begun_count * sizeof(begun[0]));
    return code;
}

static void begin(char **f)
{
    int code = begun_count == BEGUN_MAX ? wait_for_oldest() : MQTTCLIENT_SUCCESS, size;
    char *topic = unhex(f[1], NULL), *payload = unhex(f[2], &size);

    if (code == MQTTCLIENT_SUCCESS && version == 5) {
        MQTTResponse response = MQTTClient_publish5(client, topic, size, payload, atoi(f[3]), 0,
                                                    NULL, &begun[begun_count]);
        code = response.reasonCode;
        MQTTResponse_free(response);
    } else if (code == MQTTCLIENT_SUCCESS)
        code = MQTTClient_publish(client, topic, size, payload, atoi(f[3]), 0, &begun[begun_count]);
    begun_count += code == MQTTCLIENT_SUCCESS && atoi(f[3]) > 0;
    answer(code, "begin");
}

static void finish(char **f)
{
    int code = MQTTCLIENT_SUCCESS;

    (void)f;
    while (code == MQTTCLIENT_SUCCESS && begun_count > 0)
        code = wait_for_oldest();
    answer(code, "finish");
}

static void unsubscribe(char **f)
{
    char *filter = unhex(f[1], NULL);
    int code;

    if (version == 5) {
        MQTTResponse response = MQTTClient_unsubscribe5(client, filter, NULL);
        code = response.reasonCode >= 0x80 || response.reasonCode < 0 ? response.reasonCode
                                                                      : MQTTCLIENT_SUCCESS;
        MQTTResponse_free(response);
    } else
        code = MQTTClient_unsubscribe(client, filter);
    answer(code, "unsubscribe");
}

static void disconnect(char **f)
{
    (void)f;
    answer(version == 5 ? MQTTClient_disconnect5(client, 1000, MQTTREASONCODE_SUCCESS, NULL)
                        : MQTTClient_disconnect(client, 1000),
           "disconnect");
}

static const struct {
    const char *name;
    int fields;
    void (*run)(char **fields);
} commands[] = {
    {"connect", 16, connect_client}, {"subscribe", 4, subscribe}, {"unsubscribe", 2, unsubscribe},
    {"publish", 11, publish},        {"begin", 4, begin},         {"finish", 1, finish},
    {"disconnect", 1, disconnect},
};

int main(void)
{
    MQTTClient_init_options init = MQTTClient_init_options_initializer;
    char *line = NULL;
    size_t room = 0;

    init.do_openssl_init = 1;
    MQTTClient_global_init(&init);
    while (getline(&line, &room, stdin) > 0) {
        char *fields[FIELDS_MAX] = {NULL}, *rest = line;
        int count = 0;

        line[strcspn(line, "\n")] = 0;
        while (count < FIELDS_MAX && (fields[count] = strsep(&rest, "\t")) != NULL)
            count++;
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
            if (strcmp(commands[i].name, fields[0]) == 0 && commands[i].fields == count)
                commands[i].run(fields);
        }
    }
    free(line);
    return 0;
}
