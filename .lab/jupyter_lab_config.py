"""JupyterLab as `make lab` and the tests start it: no request leaves the machine, and no question stands in the way."""

from pathlib import Path

c = get_config()  # noqa: F821 - Jupyter defines it

# overrides.json: no news and no look for updates, so that JupyterLab does not ask either
c.LabApp.app_settings_dir = str(Path(__file__).resolve().parent)
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
# cells travel over a socket file that only this user can open; over loopback ipykernel 7 warns that all can listen
c.KernelManager.transport = "ipc"
