import json

from django.db import connection
from django.http import JsonResponse
from django.urls import path

from .models import Order


def health(_request):
    connection.ensure_connection()
    return JsonResponse({"status": "ok"})


def orders(request):
    if request.method == "POST":
        order = Order.objects.create(item=json.loads(request.body)["item"])
        return JsonResponse({"id": order.id}, status=201)
    rows = Order.objects.order_by("id").values("item", "shipped")
    return JsonResponse(list(rows), safe=False)


urlpatterns = [path("health/", health), path("api/orders", orders)]
