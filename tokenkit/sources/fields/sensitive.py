"""Sensitive: operations that make or read credentials and secrets, change rights, switch guards off, delete, copy out.

One table for each service whose operations are known by name, and one for routes of any other. The names of services
cannot be mistaken for each other's: AWS has CreateAccessKey, GitHub org.add_member, Okta system.api_token.create,
Kubernetes "get secrets", Vault "update sys/policies/...", a gateway "POST /v1/keys".
"""

import re

CREDENTIALS, SECRETS, RIGHTS = "makes or reads credentials", "reads secrets", "changes rights"
GUARDS, DELETES, COPIES = "switches logging or guards off", "deletes", "copies out"
RUNS = "runs commands"
Catalogue = tuple[tuple[str, re.Pattern[str]], ...]

# why: which operations; the first that fits is the reason
AWS: Catalogue = (
    (CREDENTIALS, re.compile(
        r"^(Create|Update|Upload|Import|Reset)(AccessKey|LoginProfile|ServiceSpecificCredential|SSHPublicKey|KeyPair"
        r"|SigningCertificate|ApiKey|TrustAnchor|Profile$)|^Get(PasswordData|FederationToken|SessionToken)$")),
    (SECRETS, re.compile(r"^((Batch)?GetSecretValue|GetParameters?(ByPath)?|GetParameterHistory)$")),
    (RIGHTS, re.compile(
        r"^(Put|Attach|Detach|Delete|Create|SetDefault|Update)\w*(Policy|PolicyVersion|Acl|PermissionsBoundary|Grant)$"
        r"|^(Create|Update)(User|Role|Group)$|^Add(UserToGroup|RoleToInstanceProfile|Permission)"
        r"|^Modify(Snapshot|Image|DBSnapshot|DBClusterSnapshot)Attribute$|^AuthorizeSecurityGroup|PublicAccessBlock$")),
    (GUARDS, re.compile(
        r"^(Stop|Delete|Disable|Update)(Logging|Trail|FlowLogs|Detector|SecurityHub|LogGroup|LogStream|ConfigRule"
        r"|ConfigurationRecorder|DeliveryChannel)$|^Put(EventSelectors|InsightSelectors|BucketLogging)$"
        r"|^StopConfigurationRecorder$|^LeaveOrganization$")),
    (DELETES, re.compile(r"^(Delete|Terminate|Purge|Destroy|ScheduleKeyDeletion|BatchDelete)|^DELETE ")),
)  # fmt: skip
ROUTES: Catalogue = (
    ("credentials and secrets by route", re.compile(
        r"(?i)^[A-Z]+ .*/((api|access|private)?[-_]?keys?|credentials?|secrets?|tokens?|passwords?)(/|$)")),
    ("rights and audit by route", re.compile(
        r"(?i)^(POST|PUT|PATCH) .*/(roles?|permissions?|policies|grants?|members|audit[-_\w]*|logging"
        r"|webhooks?)(/\{id\})?$")),
)  # fmt: skip
GITHUB: Catalogue = (
    (CREDENTIALS, re.compile(
        r"^(personal_access_token|oauth_authorization|org_credential_authorization)\.(access_granted|create|grant"
        r"|request_created|credential_regenerated)$|^(public_key|deploy_key|ssh_certificate_authority|gpg_key)\.create$"
        r"|^(oauth_application|integration)\.(create|generate_client_secret|update|transfer)$"
        r"|^integration_installation\.(create|repositories_added|version_updated)$"
        r"|^(org|repo|environment|enterprise|business)\.(create|update)_(actions|codespaces|dependabot)?_?secret$"
        r"|^(org|repo|business|enterprise)\.register_self_hosted_runner$|^hook\.(create|config_changed)$")),
    (RIGHTS, re.compile(
        r"^(org|repo|team|business|enterprise)\.(add|update)_(member|admin|repository|outside_collaborator)\w*$"
        r"|^(business|enterprise)\.(add|invite)_\w+$|^(role|organization_role|custom_role)\.(create|update|assign)$"
        r"|^org\.(invite_member|update_default_repository_permission|update_member_repository_\w+)$"
        r"|^repo\.(access|update_actions_\w+|actions_enabled)$|^team\.(promote_maintainer|add_to_\w+)$")),
    (GUARDS, re.compile(
        r"^protected_branch\.(destroy|policy_override|update_\w+)$|^repository_ruleset\.(destroy|update)$"
        r"|^(org|business|enterprise)\.(disable_\w+|set_workflow_\w+|clear_\w+)$"
        r"|^(audit_log_streaming|ip_allow_list|ip_allow_list_entry)\.(destroy|disable|update|disable_for_\w+)$"
        r"|^[a-z_]*(secret_scanning|vulnerability_alerts|dependabot|code_scanning|advanced_security)[a-z_]*"
        r"\.(disable\w*|destroy|bypass)$|^secret_scanning_alert\.resolve$|^two_factor_authentication\.disabled$")),
    (DELETES, re.compile(r"^(repo|team|org|project|environment|packages?)\.(destroy|delete|transfer\w*"
                         r"|package_(version_)?deleted)$")),
    (COPIES, re.compile(r"^(migration\.create|repo\.download_zip|org\.(audit_log_export|audit_log_git_event_export)"
                        r"|org\.display_commenter_full_name_export|business\.export_\w+)$")),
)  # fmt: skip
OKTA: Catalogue = (
    (CREDENTIALS, re.compile(
        r"^system\.api_token\.(create|update|enable)$|^app\.oauth2\.(client\.lifecycle\.create|credentials\.[.\w]+)$"
        r"|^app\.oauth2\.client\.(privilege\.grant|lifecycle\.activate)$|^application\.credentials?\.[.\w]+$"
        r"|^user\.(account\.(reset_password|update_password|unlock_by_admin|expire_password)"
        r"|mfa\.factor\.(activate|update))$|^system\.idp\.(lifecycle\.(create|update|activate)|key\.create)$")),
    (RIGHTS, re.compile(
        r"^(user\.account|group|app\.oauth2\.client)\.privilege\.grant$|^iam\.[.\w]+\.(create|update|add|grant)$"
        r"|^group\.(user_membership|application_assignment)\.add$|^application\.user_membership\.add$"
        r"|^user\.session\.impersonation\.(initiate|grant|extend)$|^user\.account\.access_super_user_app$")),
    (GUARDS, re.compile(
        r"^policy\.(lifecycle|rule)\.(update|deactivate|delete)$|^zone\.(update|deactivate|delete|remove_blacklist)$"
        r"|^user\.mfa\.factor\.(deactivate|reset_all|suspend)$|^system\.mfa\.factor\.deactivate$"
        r"|^(system\.log_stream|event_hook|inline_hook|system\.log_streaming)[.\w]*\.(update\w*|deactivated?|deleted?)$"
        r"|^application\.policy\.sign_on\.(update|deny_access|rule\.delete)$|^security\.[.\w]+\.(disable|update)$")),
    (DELETES, re.compile(r"^(user|application|group|device|system\.idp)\.lifecycle\.delete[.\w]*$")),
    (COPIES, re.compile(r"^(system\.csv\.export|analytics\.reports?\.export|user\.export)[.\w]*$")),
)  # fmt: skip
KUBERNETES: Catalogue = (
    (RIGHTS, re.compile(r"^impersonate: "
                        r"|^(create|update|patch|bind|escalate|delete\w*) (cluster)?role(binding)?s(/\w+)?$")),
    (SECRETS, re.compile(r"^(get|list|watch) secrets$")),
    (CREDENTIALS, re.compile(r"^create serviceaccounts/token$|^(create|update|patch) secrets$"
                             r"|^(create|update|patch|approve) certificatesigningrequests(/\w+)?$")),
    (RUNS, re.compile(r"^(get|create|connect|update|patch) (pods/(exec|attach|portforward|ephemeralcontainers)"
                      r"|(nodes|services|pods)/proxy)$")),
    (GUARDS, re.compile(
        r"^(create|update|patch|delete\w*) (validating|mutating)(webhookconfigurations|admissionpolic\w+)$"
        r"|^(update|patch|delete\w*) (networkpolicies|podsecuritypolicies|resourcequotas|auditsinks)$")),
    (DELETES, re.compile(r"^deletecollection \w|^delete (namespaces|nodes|persistentvolume(claim)?s|secrets"
                         r"|customresourcedefinitions)$")),
)  # fmt: skip
VAULT: Catalogue = (
    (CREDENTIALS, re.compile(r"^(create|update) (auth/token/create|sys/(generate-root|rekey|rotate|unseal))"
                             r"|^(read|list|update) sys/raw")),
    (RIGHTS, re.compile(r"^(create|update|delete|patch) sys/(polic|auth|mounts|remount|plugins)")),
    (GUARDS, re.compile(r"^(create|update|delete) sys/(audit|seal|step-down|config/auditing)")),
)  # fmt: skip
HOOP: Catalogue = (
    (RIGHTS, re.compile(r"^exec (\S+ )?(grant|revoke)$")),
    (DELETES, re.compile(r"^exec (\S+ )?(drop|truncate|delete|dropdatabase|deletemany)$")),
)  # fmt: skip
SENSITIVE = (*AWS, *ROUTES, *GITHUB, *OKTA, *KUBERNETES, *VAULT, *HOOP)
_NOT_SENSITIVE = re.compile(r"^(Get|List|Describe)\w*PublicAccessBlock$")


def sensitive_because(operation: str) -> str | None:
    """Return why an operation is sensitive, or None.

    Examples
    --------
    >>> sensitive_because("StopLogging"), sensitive_because("GET /v1/orders/{id}")
    ('switches logging or guards off', None)
    >>> sensitive_because("list secrets"), sensitive_because("org.add_member"), sensitive_because("list pods")
    ('reads secrets', 'changes rights', None)
    """
    if _NOT_SENSITIVE.search(operation):
        return None
    return next((why for why, pattern in SENSITIVE if pattern.search(operation)), None)
